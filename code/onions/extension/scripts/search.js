// Searches the sections of the book, which search-texts.js holds: [page, [[id, title, text], …]].
// Nothing is fetched, so this works from a file as well; and all that it shows is set as text.
(() => {
  const MOST = 30; // results
  const LENGTH = 240; // of an excerpt, in characters
  const query = (new URLSearchParams(location.search).get("q") ?? "").trim();
  const words = query.match(/[\p{L}\p{N}_]+/gu) ?? [];
  if (!words.length) return;

  // A word is found in its forms, too: "padded" finds "padding" and "pad".
  const stem = (word) =>
    word.replace(/(?<=.{4})(ing|ies|ed|es|s|e|y)$/i, "").replace(/(?<=..)([^aeiou\d])\1$/i, "$1");
  const stems = words.map(stem);
  const pattern = (form) => new RegExp(`(?<![\\p{L}\\p{N}])${form}[\\p{L}\\p{N}_]*`, "giu");
  const each = [...new Set(stems)].map(pattern);
  const any = pattern(`(?:${stems.join("|")})`);
  const phrase = pattern(stems.join("[\\p{L}\\p{N}_]*[^\\p{L}\\p{N}]+"));
  const count = (text, form) => (text.match(form) ?? []).length;

  // How many of the words a section has decides, then whether they stand together and in its title.
  const rate = (page, title, text) => {
    const own = `${title} ${text}`;
    if (!count(own, any)) return null;
    const found = each.filter((form) => count(`${page} ${own}`, form)).length;
    const together = 20 * (count(title, phrase) > 0) + 10 * (count(text, phrase) > 0);
    return { found, score: together + 5 * count(title, any) + Math.min(count(text, any), 4) };
  };

  const mark = (element, text) => {
    let end = 0;
    for (const hit of text.matchAll(any)) {
      const marked = document.createElement("mark");
      marked.textContent = hit[0];
      element.append(text.slice(end, hit.index), marked);
      end = hit.index + hit[0].length;
    }
    element.append(text.slice(end));
  };

  const excerpt = (text) => {
    const place = [phrase, any].map((form) => text.search(form)).find((index) => index >= 0) ?? 0;
    const start = text.lastIndexOf(" ", Math.max(place - LENGTH / 3, 0)) + 1;
    const rest = text.length > start + LENGTH;
    const end = rest ? text.lastIndexOf(" ", start + LENGTH) : text.length;
    return `${start ? "… " : ""}${text.slice(start, end)}${rest ? " …" : ""}`;
  };

  const show = ({ address, page, title, text }) => {
    const [item, link, summary] = ["li", "a", "p"].map((name) => document.createElement(name));
    link.href = address;
    link.textContent = title;
    summary.className = "context";
    mark(summary, excerpt(text));
    item.append(link, title === page ? "" : ` – ${page}`, ...(text ? [summary] : []));
    return item;
  };

  const rated = searchTexts.flatMap(([file, parts]) =>
    parts.map(([id, title, text]) => {
      const page = parts[0][1];
      const address = id ? `${file}#${id}` : file;
      return { address, page, title, text, ...rate(page, title, text) };
    }),
  );
  const most = Math.max(0, ...rated.map(({ found }) => found ?? 0));
  const results = rated.filter(({ found }) => most && found === most);
  results.sort((one, other) => other.score - one.score);

  let said = `Sections with “${query}”: ${results.length}.`;
  if (!most) said = `No section has “${query}”.`;
  else if (most < each.length) said = `No section has all of these words. With some: ${results.length}.`;
  if (results.length > MOST) said += ` Shown are the best ${MOST}.`;
  document.querySelectorAll('input[name="q"]').forEach((box) => (box.value = query));
  document.getElementById("search-results").append(...results.slice(0, MOST).map(show));
  document.title = `${query}: ${document.title}`;
  // Later than the page itself, or a screen reader does not notice that the status changed.
  setTimeout(() => (document.querySelector(".search-summary").textContent = said), 100);
})();
