// Compares a reader's number with the reference runs, and marks it in the table's plot.
// Without this script, the table still shows all numbers.
const SLACK = 0.5; // equals RANGE_SLACK in onions/book/reference.py

function verdict(value, values) {
  const [low, high] = [values[0], values[values.length - 1]];
  const runs = values.length;
  const below = values.filter((run) => run < value).length;
  if (value >= low && value <= high) {
    return `Normal: ${below} of ${runs} reference runs came out lower, ${runs - below} not.`;
  }
  const side = value < low ? "below the lowest" : "above the highest";
  const distance = Math.max(low - value, value - high);
  if (distance <= SLACK * (high - low)) {
    return `Still normal: a little ${side} of ${runs} reference runs. About 2 in ${runs + 1} correct runs fall outside.`;
  }
  return `Not normal: far ${side} of ${runs} reference runs. Go through the list below.`;
}

for (const element of document.querySelectorAll(".normal")) {
  const [form, rows] = [element.querySelector("form"), element.querySelectorAll("tbody tr")];
  const [select, input] = [form.querySelector("select"), form.querySelector("input")];
  const output = form.querySelector("output");

  const update = () => {
    element.querySelectorAll(".mine").forEach((mark) => mark.remove());
    const row = rows[select.value];
    const values = JSON.parse(row.dataset.values);
    const value = Number(input.value.trim().replace(",", "."));
    if (!input.value.trim()) {
      output.textContent = "";
    } else if (!Number.isFinite(value)) {
      output.textContent = "Type a number, as in 0.53.";
    } else {
      output.textContent = verdict(value, values);
      mark(row, value);
    }
  };

  const mark = (row, value) => {
    const [first, last] = JSON.parse(row.dataset.scale);
    const plot = row.querySelector("svg");
    const width = plot.viewBox.baseVal.width;
    const share = Math.min(Math.max((value - first) / (last - first), 0), 1);
    const diamond = document.createElementNS("http://www.w3.org/2000/svg", "path");
    diamond.setAttribute("class", "mine");
    diamond.setAttribute("d", `M${8 + share * (width - 16)} 4l8 8l-8 8l-8 -8z`);
    plot.append(diamond);
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", update);
  element.querySelector(".legend span").hidden = false;
  form.hidden = false;
}
