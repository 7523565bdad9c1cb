// `onions live` adds this script to each page. It reloads a changed page, with the same scroll
// position and the same open parts, and shows progress and errors in a bar.
{
  const { page, state } = document.currentScript.dataset;
  const KEY = `onions-live-${page}`;
  const parts = () => [...document.querySelectorAll("details")];

  const bar = Object.assign(document.createElement("aside"), { id: "live", hidden: true });
  bar.ariaLabel = "Preview";
  const status = Object.assign(document.createElement("p"), { role: "status" });
  const problems = document.createElement("div");
  problems.setAttribute("role", "alert");
  bar.append(status, problems);
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
    .tag_awaits-run::before { content: "Not run yet; outputs below are from an earlier run";
      font-size: 0.85rem; }`;
  document.head.append(style);
  document.body.append(bar);

  const saved = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  for (const index of saved.open ?? []) parts()[index]?.toggleAttribute("open", true);
  if (saved.top) scrollTo({ top: saved.top, behavior: "instant" });
  sessionStorage.setItem(KEY, JSON.stringify({ requested: saved.requested }));

  // Handle an event of `LiveSession._tab_event` (onions/live/session.py).
  const show = ({ state: newState, waits, problems: messages, others }) => {
    // Reload once per state: otherwise a half-written page would reload forever.
    if (newState !== null && newState !== state && newState !== saved.requested) {
      const open = parts().flatMap((part, index) => (part.open ? [index] : []));
      sessionStorage.setItem(KEY, JSON.stringify({ requested: newState, top: scrollY, open }));
      location.reload();
      return;
    }
    status.textContent = waits;
    problems.replaceChildren(
      ...messages.map((text) => Object.assign(document.createElement("pre"), { textContent: text })),
    );
    if (others.length) {
      problems.append(`Other pages with problems: ${others.join(", ")}.`);
    }
    bar.hidden = !(waits || problems.hasChildNodes());
  };

  const events = new EventSource(`/-/events?page=${encodeURIComponent(page)}`);
  events.addEventListener("message", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    status.textContent = "The preview has ended. Run `make live` to start it again.";
    bar.hidden = false;
  });
}
