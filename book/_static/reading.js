// What a page can do besides being read: the instructor view, all folded parts at once, explorers,
// tips by keyboard and tap, print. Without it the page still shows everything, one click further away.
{
  const VIEW = "instructor"; // in the address, and nowhere else: a link can be passed on
  const teaching = new URLSearchParams(location.search).has(VIEW);
  const root = new URL(document.documentElement.dataset.content_root, location.href).href;

  const view = document.querySelector(".view-switch");

  /** Let a link to another page of this site lead to the same view of it. */
  const keepView = (link) => {
    const ours = link?.href.startsWith(root) && !link.hasAttribute("download") && link !== view;
    if (ours && !new URLSearchParams(link.search).has(VIEW)) {
      link.search += `${link.search ? "&" : "?"}${VIEW}`;
    }
  };

  if (teaching) {
    for (const link of document.links) keepView(link);
    // Search results come later.
    document.addEventListener("click", (event) => keepView(event.target.closest("a[href]")), true);
    for (const form of document.querySelectorAll("form[role=search]")) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name: VIEW }));
    }
  }
  if (view && teaching) {
    view.textContent = "Learner view";
    view.href = location.pathname;
  } else if (view) {
    view.hash = location.hash;
  }

  const [OPEN, CLOSE] = ["Open all that is folded", "Close all that is folded"];
  const folded = [...document.querySelectorAll("article details.admonition")];
  const button = document.querySelector(".open-all");
  button?.addEventListener("click", () => {
    const open = button.textContent === OPEN;
    for (const part of folded) part.open = open;
    button.textContent = open ? CLOSE : OPEN;
  });

  // Paper can't be clicked.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = folded.filter((part) => !part.open);
    for (const part of closed) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of closed) part.open = false;
  });

  // An explorer's module is fetched when its place comes near.
  if (document.documentElement.classList.contains("explorable")) {
    const near = new IntersectionObserver(
      (seen) => {
        for (const { isIntersecting, target } of seen) {
          if (!isIntersecting) continue;
          near.unobserve(target);
          import(new URL(target.dataset.module, location));
        }
      },
      { rootMargin: "50% 0px" },
    );
    for (const explorer of document.querySelectorAll("[data-module]")) near.observe(explorer);
  }

  let pointer = "mouse";
  addEventListener("pointerdown", (event) => (pointer = event.pointerType), true);
  addEventListener("keydown", () => (pointer = "keyboard"), true);
  const tips = [...document.querySelectorAll(".tip")];
  const close = () => tips.forEach((tip) => tip.classList.remove("open"));
  for (const tip of tips) {
    const link = tip.previousElementSibling;
    link.setAttribute("aria-describedby", tip.id);
    let leaving;
    const open = () => {
      clearTimeout(leaving);
      if (tip.classList.contains("open")) return;
      close();
      tip.classList.add("open");
      const right = tip.offsetParent.clientWidth - tip.offsetWidth;
      tip.style.left = `${Math.max(0, Math.min(link.offsetLeft, right))}px`;
    };
    const shut = () => tip.classList.remove("open");
    for (const part of [link, tip]) {
      part.addEventListener("mouseenter", () => pointer !== "touch" && open());
      part.addEventListener("mouseleave", () => {
        if (!link.matches(":focus-visible")) leaving = setTimeout(shut, 200); // time to get back
      });
    }
    link.addEventListener("focus", () => pointer === "keyboard" && open());
    link.addEventListener("blur", shut);
    // The first tap explains, the second follows the link.
    link.addEventListener("click", (event) => {
      if (pointer === "touch" && !tip.classList.contains("open")) {
        event.preventDefault();
        event.stopPropagation();
        open();
      }
    });
  }
  document.addEventListener("click", close);
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
}
