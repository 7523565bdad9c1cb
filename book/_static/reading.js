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

  const menu = document.querySelector("details.downloads");
  document.addEventListener("click", (event) => {
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
  menu?.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // Paper can't be clicked: open what is folded, and put the solutions after the text.
  let closed = [];
  const moved = new Map(); // the comment in the place of each solution
  const title = Object.assign(document.createElement("h2"), { textContent: "Solutions" });
  addEventListener("beforeprint", () => {
    closed = folded.filter((part) => !part.open);
    for (const part of closed) part.open = true;
    const solutions = folded.filter((part) => part.matches(".solution"));
    if (!solutions.length || moved.size) return;
    const answers = document.querySelector("article details.reasons");
    for (const part of solutions) {
      moved.set(part, document.createComment("solution"));
      part.replaceWith(moved.get(part));
    }
    if (answers) answers.before(title, ...solutions);
    else document.querySelector("article section").append(title, ...solutions);
  });
  addEventListener("afterprint", () => {
    for (const part of closed) part.open = false;
    for (const [part, place] of moved) place.replaceWith(part);
    moved.clear();
    title.remove();
  });

  // An explorer's module is fetched when its place comes near, or when its button is pressed.
  if (document.documentElement.classList.contains("explorable")) {
    const open = (explorer) => import(new URL(explorer.dataset.module, location));
    const near = new IntersectionObserver(
      (seen) => {
        for (const { isIntersecting, target } of seen) {
          if (!isIntersecting) continue;
          near.unobserve(target);
          open(target);
        }
      },
      { rootMargin: "50% 0px" },
    );
    for (const explorer of document.querySelectorAll("[data-module]")) {
      const button = explorer.querySelector(".explorer-open");
      if (button) button.addEventListener("click", () => open(explorer), { once: true });
      else near.observe(explorer);
    }
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

// Questions: the reason of the answer that a reader gives, at once, cloned from the page's end. The
// answers are kept in this browser, under one key, and sent nowhere.
{
  const KEY = "onions-quizzes"; // {quiz: answer}
  const forms = [...document.querySelectorAll("form.quiz")];
  const right = new Set();
  const progress = document.querySelector(".quiz-progress");

  const kept = () => {
    try {
      return Object(JSON.parse(localStorage.getItem(KEY)));
    } catch {
      return {}; // no storage in this browser, or not ours
    }
  };
  const keep = (answers) => {
    try {
      localStorage.setItem(KEY, JSON.stringify(answers));
    } catch {
      // Then nothing is remembered.
    }
  };

  /** Return the number in what was typed; 307,300 and 307 300 are one, and so are 0.5 and 0,5. */
  const number = (text) => {
    const bare = text.replace(/[\s'’]/g, "").replace("−", "-");
    const thousands = /^-?\d{1,3}(,\d{3})+(\.\d*)?$/.test(bare);
    return bare ? Number(thousands ? bare.replaceAll(",", "") : bare.replace(",", ".")) : NaN;
  };

  /** Say what is to be said of an answer. If it was given on an earlier visit, say it in one line:
   *  then the text below does not move while the page loads. */
  const judge = (form, answer, earlier) => {
    const { quiz, tolerance } = form.dataset;
    const says = form.querySelector("output");
    const given = tolerance === undefined ? answer : number(answer);
    const reasons = document.getElementById(`why-${quiz.split("/").at(-1)}`);
    const found = [...reasons.querySelectorAll("[data-answer]")].find(({ dataset }) =>
      tolerance === undefined
        ? dataset.answer === given
        : Math.abs(dataset.answer - given) <= Number(tolerance),
    );
    if (found && earlier) {
      const why = Object.assign(document.createElement("a"), { textContent: "Why?", href: `#${reasons.id}` });
      says.replaceChildren(found.firstElementChild.cloneNode(true), " ", why);
    } else if (found) says.replaceChildren(...found.cloneNode(true).childNodes);
    else if (Number.isNaN(given)) says.textContent = "Enter a number, such as 1,250 or 0.5.";
    else says.textContent = "✗ Not quite. Work it out once more.";
    form.dataset.state = found && "right" in found.dataset ? "right" : "wrong";
    right[form.dataset.state === "right" ? "add" : "delete"](quiz);
    count();
  };

  const count = () => {
    if (!progress) return;
    const said = `${right.size} of ${forms.length} right so far.`;
    progress.querySelector("output").textContent = said;
  };

  const given = kept();
  for (const form of forms) {
    const { quiz, tolerance } = form.dataset;
    const { answer } = form.elements;
    const hint = form.querySelector("output").textContent;
    form.addEventListener(tolerance === undefined ? "change" : "submit", (event) => {
      event.preventDefault();
      keep({ ...kept(), [quiz]: answer.value });
      judge(form, answer.value);
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => {
      delete form.dataset.state;
      form.querySelector("output").textContent = hint;
    });
    if (quiz in given) {
      answer.value = given[quiz];
      if (answer.value) judge(form, answer.value, true);
    }
  }
  count();
  progress?.querySelector("button").addEventListener("click", () => {
    const ours = forms.map((form) => form.dataset.quiz);
    keep(Object.fromEntries(Object.entries(kept()).filter(([quiz]) => !ours.includes(quiz))));
    for (const form of forms) form.reset();
    right.clear();
    count();
  });
}
