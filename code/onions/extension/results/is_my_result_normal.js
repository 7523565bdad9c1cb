// Judges a reader's numbers together by the reference runs, and marks them in the table's plots.
// Without this script, the table still shows all numbers. onions/book/spread.py has the method.
const toScale = {
  "": (value) => value,
  log: (value) => Math.log(Math.max(value, 1e-9)),
  logit: (value) => {
    const share = Math.min(Math.max(value, 1e-4), 1 - 1e-4);
    return Math.log(share / (1 - share));
  },
};

function verdict(numbers, limits) {
  const furthest = numbers.reduce((a, b) => (b.deviation > a.deviation ? b : a));
  const [expected, unusual] = limits[numbers.length - 1];
  const together = numbers.length > 1 ? "Together, these numbers are" : "This number is";
  if (furthest.deviation <= expected) {
    return `As expected. ${together} where 99 of 100 runs come out, if runs vary normally.`;
  }
  const name = `“${furthest.label}” is furthest from the middle.`;
  if (furthest.deviation <= unusual) {
    return `Unusual, but possible. If runs vary normally, fewer than 1 in 100 comes out like this. ${name} Run it once more with another seed.`;
  }
  return `Something is different. If runs vary normally, fewer than 1 in 1000 comes out like this. ${name} Go through the list below.`;
}

function mark(row, value) {
  const [first, last] = JSON.parse(row.dataset.axis);
  const plot = row.querySelector("svg");
  const width = plot.viewBox.baseVal.width;
  const share = Math.min(Math.max((value - first) / (last - first), 0), 1);
  const diamond = document.createElementNS("http://www.w3.org/2000/svg", "path");
  diamond.setAttribute("class", "mine");
  diamond.setAttribute("d", `M${8 + share * (width - 16)} 4l8 8l-8 8l-8 -8z`);
  plot.append(diamond);
}

function judge(row) {
  const text = row.querySelector("input").value.trim().replace(",", ".");
  const value = Number(text);
  row.querySelector(".mine")?.remove();
  if (!text || !Number.isFinite(value)) return { text };
  mark(row, value);
  const [scale, mean, sd] = JSON.parse(row.dataset.model);
  const deviation = Math.abs(toScale[scale](value) - mean) / sd;
  return { text, deviation, label: row.querySelector("th").textContent };
}

for (const form of document.querySelectorAll(".normal form")) {
  const [rows, output] = [[...form.querySelectorAll("tbody tr")], form.querySelector("output")];
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    const typed = rows.map(judge).filter((number) => number.text);
    const numbers = typed.filter((number) => "deviation" in number);
    const bad = typed.find((number) => !("deviation" in number));
    const text = bad ? `“${bad.text}” is not a number. Type one as in 0.53.` : "";
    const limits = JSON.parse(form.dataset.limits);
    output.textContent = text || (numbers.length ? verdict(numbers, limits) : "");
  });
  for (const part of form.querySelectorAll("[hidden]")) part.hidden = false;
}
