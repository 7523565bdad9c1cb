// What `onions live` adds to a page: it reloads when the page has changed, at the same place, with
// the same parts open; and it says below the page what runs, and what went wrong.
{
  const { page, state } = document.currentScript.dataset;
  const KEY = `onions-live-${page}`;
  const parts = () => [...document.querySelectorAll("details")];

  const bar = Object.assign(document.createElement("aside"), { id: "live", hidden: true });
  bar.ariaLabel = "Preview";
  const says = Object.assign(document.createElement("p"), { role: "status" });
  const problems = document.createElement("div");
  problems.setAttribute("role", "alert");
  bar.append(says, problems);
  const style = document.createElement("style");
  style.textContent = `
    #live { position: fixed; inset: auto 0 0; z-index: 100; max-height: 45vh; overflow: auto;
      padding: 0.5rem 1rem; background: var(--color-background-secondary, #faf4f0);
      color: var(--color-foreground-primary, #211a1f); border-top: 3px solid
      var(--color-brand-primary, #7d2265); }
    #live p { margin: 0.2rem 0; }
    #live pre { margin: 0.4rem 0; white-space: pre-wrap; font-size: 0.85rem; }
    .cell.tag_awaits-run { border-left: 4px dashed var(--color-brand-primary, #7d2265);
      padding-left: 0.75rem; }
    .tag_awaits-run::before { content: "Not run yet; an output below is from an earlier run";
      font-size: 0.85rem; }`;
  document.head.append(style);
  document.body.append(bar);

  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  for (const number of kept.open ?? []) parts()[number]?.toggleAttribute("open", true);
  if (kept.top) scrollTo({ top: kept.top, behavior: "instant" });
  sessionStorage.setItem(KEY, JSON.stringify({ asked: kept.asked }));

  const show = (told) => {
    // Once for each state, so that a page which was left half-written does not reload for ever.
    if (told.state !== null && told.state !== state && told.state !== kept.asked) {
      const open = parts().flatMap((part, number) => (part.open ? [number] : []));
      const place = { asked: told.state, top: scrollY, open };
      sessionStorage.setItem(KEY, JSON.stringify(place));
      location.reload();
      return;
    }
    says.textContent = told.waits;
    problems.replaceChildren(
      ...told.problems.map((text) => Object.assign(document.createElement("pre"), { textContent: text })),
    );
    if (told.others.length) {
      problems.append(`Something is wrong on: ${told.others.join(", ")}.`);
    }
    bar.hidden = !(told.waits || problems.hasChildNodes());
  };

  const news = new EventSource(`/-/events?page=${encodeURIComponent(page)}`);
  news.addEventListener("message", (event) => show(JSON.parse(event.data)));
  news.addEventListener("error", () => {
    says.textContent = "The preview has ended. `make live` starts it again.";
    bar.hidden = false;
  });
}
