// Searches the book's sections. search-texts.js defines them: [[url, [[id, title, text], …]], …].
// Nothing is fetched, so the search works from local files. Results are inserted as text, not HTML.
(() => {
  const MAX_RESULTS = 30;
  const EXCERPT_LENGTH = 240; // in characters
  const WORD = /[\p{L}\p{N}_]+/gu;
  const query = (new URLSearchParams(location.search).get("q") ?? "").trim();
  const typed = query.match(WORD) ?? [];
  if (!typed.length) return;

  // A word also matches its other forms: "padded" finds "padding" and "pad".
  const stem = (word) =>
    word.replace(/(?<=.{4})(ing|ies|ed|es|s|e|y)$/i, "").replace(/(?<=..)([^aeiou\d])\1$/i, "$1");
  const pattern = (form) => new RegExp(`(?<![\\p{L}\\p{N}])${form}[\\p{L}\\p{N}_]*`, "giu");
  // How many letters to insert, delete, replace or swap to make one word of the other.
  const distance = (a, b) => {
    const d = Array.from({ length: a.length + 1 }, (_, i) => [i]);
    for (let j = 1; j <= b.length; j++) d[0][j] = j;
    for (let i = 1; i <= a.length; i++) {
      for (let j = 1; j <= b.length; j++) {
        const replaced = d[i - 1][j - 1] + (a[i - 1] !== b[j - 1]);
        d[i][j] = Math.min(d[i - 1][j] + 1, d[i][j - 1] + 1, replaced);
        const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
        if (swapped) d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
    return d[a.length][b.length];
  };

  // A word that no section has is taken for the nearest one that is one or two letters away.
  const everyWord = new Map(); // with its number of occurrences
  for (const [, sections] of searchTexts) {
    for (const [, title, text] of sections) {
      for (const word of `${title} ${text}`.toLowerCase().match(WORD) ?? []) {
        everyWord.set(word, (everyWord.get(word) ?? 0) + 1);
      }
    }
  }
  const correct = (word) => {
    const lower = word.toLowerCase();
    const limit = (lower.length >= 5) + (lower.length >= 8);
    const known = pattern(stem(lower));
    if (!limit || [...everyWord.keys()].some((other) => count(other, known))) return word;
    const [nearest] = [...everyWord]
      .filter(([other]) => Math.abs(other.length - lower.length) <= limit)
      .map(([other, number]) => ({ other, number, far: distance(lower, other) }))
      .filter(({ far }) => far <= limit)
      .sort((a, b) => a.far - b.far || b.number - a.number);
    return nearest?.other ?? word;
  };

  const count = (text, form) => (text.match(form) ?? []).length;
  const words = typed.map(correct);
  const corrected = words.join(" ") === typed.join(" ") ? "" : words.join(" ");
  const stems = words.map(stem);
  const wordPatterns = [...new Set(stems)].map(pattern);
  const anyWord = pattern(`(?:${stems.join("|")})`);
  const phrase = pattern(stems.join("[\\p{L}\\p{N}_]*[^\\p{L}\\p{N}]+"));

  // Only the sections with the most query words are shown, sorted by score. The whole phrase scores
  // highest, then words in the title.
  const rate = (page, title, text) => {
    const section = `${title} ${text}`;
    if (!count(section, anyWord)) return null;
    const matched = wordPatterns.filter((form) => count(`${page} ${section}`, form)).length;
    const phraseScore = 20 * (count(title, phrase) > 0) + 10 * (count(text, phrase) > 0);
    const wordScore = 5 * count(title, anyWord) + Math.min(count(text, anyWord), 4);
    return { matched, score: phraseScore + wordScore };
  };

  const mark = (element, text) => {
    let end = 0;
    for (const match of text.matchAll(anyWord)) {
      const marked = document.createElement("mark");
      marked.textContent = match[0];
      element.append(text.slice(end, match.index), marked);
      end = match.index + match[0].length;
    }
    element.append(text.slice(end));
  };

  const excerpt = (text) => {
    const match = [phrase, anyWord].map((form) => text.search(form)).find((index) => index >= 0) ?? 0;
    const start = text.lastIndexOf(" ", Math.max(match - EXCERPT_LENGTH / 3, 0)) + 1;
    const isCut = text.length > start + EXCERPT_LENGTH;
    const end = isCut ? text.lastIndexOf(" ", start + EXCERPT_LENGTH) : text.length;
    return `${start ? "… " : ""}${text.slice(start, end)}${isCut ? " …" : ""}`;
  };

  const listItem = ({ url, page, title, text }) => {
    const [item, link, context] = ["li", "a", "p"].map((name) => document.createElement(name));
    link.href = url;
    link.textContent = title;
    context.className = "context";
    mark(context, excerpt(text));
    item.append(link, title === page ? "" : ` – ${page}`, ...(text ? [context] : []));
    return item;
  };

  const rated = searchTexts.flatMap(([pageUrl, sections]) =>
    sections.map(([id, title, text]) => {
      const page = sections[0][1];
      const url = id ? `${pageUrl}#${id}` : pageUrl;
      return { url, page, title, text, ...rate(page, title, text) };
    }),
  );
  const mostMatched = Math.max(0, ...rated.map(({ matched }) => matched ?? 0));
  const results = rated.filter(({ matched }) => mostMatched && matched === mostMatched);
  results.sort((a, b) => b.score - a.score);

  let summary = `Sections with “${query}”: ${results.length}.`;
  if (!mostMatched) summary = `No section has “${query}”.`;
  else if (mostMatched < wordPatterns.length) {
    summary = `No section has all of these words. With some: ${results.length}.`;
  }
  if (corrected) summary = `No section has “${query}”. Sections with “${corrected}”: ${results.length}.`;
  if (results.length > MAX_RESULTS) summary += ` These are the best ${MAX_RESULTS}.`;
  document.querySelectorAll('input[name="q"]').forEach((box) => (box.value = query));
  document.getElementById("search-results").append(...results.slice(0, MAX_RESULTS).map(listItem));
  document.title = `${query}: ${document.title}`;
  // Delayed because screen readers do not announce a status that changes during page load.
  setTimeout(() => (document.querySelector(".search-summary").textContent = summary), 100);
})();
