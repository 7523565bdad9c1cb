// The reader's runs, kept in this browser, and their results as text.

import { button, make } from "./shared.js";

const KEY = "onions-runs"; // of the local storage: all runs of the site
// The columns: a run's property, its heading, its decimals, and a value that is not worth a column.
const COLUMNS = [
  ["rate", "learning rate", 4, 0.001],
  ["inputs", "largest input", 0, 1],
  ["noise", "random labels", 1, 0],
  ["kernels", "kernels", 0],
  ["dropout", "dropout rate", 1],
  ["parameters", "parameters", 0],
  ["val_accuracy", "validation accuracy", 3],
  ["accuracy", "training accuracy", 3],
  ["val_loss", "validation loss", 3],
  ["loss", "training loss", 3],
  ["test_accuracy", "test accuracy", 3],
  ["images", "images", 0],
  ["epochs", "epochs", 0],
  ["seed", "seed", 0],
  ["seconds", "seconds", 0],
];

/** Create the table of a network's runs. `network` names it, `noun` what it trains on. `add(run)` adds a run, an object with the
 *  properties of the columns; `update(run)` shows a change of the latest. */
export const runsTable = (network, noun) => {
  let runs = read().filter((run) => run.network === network);
  const [head, body] = [make("tr"), make("tbody")];
  const show = () => {
    const columns = COLUMNS.filter(([name, , , usual]) => runs.some((run) => run[name] !== undefined && run[name] !== usual));
    const cells = (run) => columns.map(([name, , decimals]) => make("td", {}, run[name]?.toFixed(decimals) ?? "–"));
    head.replaceChildren(...columns.map(([, heading]) => make("th", { scope: "col" }, heading === "images" ? noun : heading)));
    body.replaceChildren(...runs.map((run) => make("tr", {}, ...cells(run))));
    box.hidden = !runs.length;
  };
  const save = () => write([...read().filter((run) => run.network !== network), ...runs]);
  const add = (run) => {
    runs.push(Object.fromEntries([["network", network], ...COLUMNS.map(([name]) => [name, run[name]])]));
    save();
    show();
  };
  const update = (run) => {
    runs.pop();
    add(run);
  };
  const download = () => {
    const lines = [["network", ...COLUMNS.map(([name]) => name)], ...runs.map((run) => [network, ...COLUMNS.map(([name]) => run[name] ?? "")])];
    const text = lines.map((line) => line.map((cell) => (/[",]/.test(cell) ? `"${cell}"` : cell)).join(",")).join("\n");
    const url = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    make("a", { href: url, download: "runs.csv" }).click();
    URL.revokeObjectURL(url);
  };
  const forget = () => {
    runs = [];
    save();
    show();
  };
  const caption = make("caption", {}, "Your runs. They stay in this browser.");
  const table = make("table", { className: "explorer-table" }, caption, make("thead", {}, head), body);
  const scroll = make("div", { className: "explorer-scroll", tabIndex: 0, role: "group", "aria-label": "Your runs" }, table);
  const box = make("div", {}, scroll, make("p", { className: "explorer-buttons" }, button("Download as CSV", download), button("Delete these runs", forget)));
  show();
  return Object.assign(box, { add, update });
};

const read = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return []; // no storage, or damaged
  }
};

const write = (runs) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(runs));
  } catch {
    // No storage: the runs stay on this page.
  }
};

// The result of a run as a line of text, which a learner hands in and an instructor pastes.
const LINE = /(\S.*): (\d+) images, (\d+) epochs, seed (\d+): accuracy (\d\.\d+), loss (\d+\.\d+)/;

/** Return the line for a run of a network, `name`: its accuracy and loss are those of validation. */
export const resultLine = (name, { images, epochs, seed, val_accuracy: accuracy, val_loss: loss }) =>
  `${name}: ${images} images, ${epochs} epochs, seed ${seed}: accuracy ${accuracy.toFixed(4)}, loss ${loss.toFixed(4)}`;

/** Return { results, others } of a text: the results of `name` for as many images and epochs, and the number
 *  of other lines that are not empty. A line that comes again, as from a chat, counts once. */
export const parseResults = (text, name, images, epochs) => {
  const lines = [...new Set(text.split("\n").map((line) => line.trim()))].filter(Boolean);
  const results = lines.flatMap((line) => {
    const match = line.match(LINE);
    if (!match?.[1].endsWith(name) || Number(match[2]) !== images || Number(match[3]) !== epochs) return [];
    return { accuracy: Number(match[5]), loss: Number(match[6]) };
  });
  return { results, others: lines.length - results.length };
};
