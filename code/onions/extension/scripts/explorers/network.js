// <onion-network>: a network to build from layers, with its shapes, parameters and errors as Keras
// gives them, and the code that builds it.

import { code, INPUT, KINDS, layer, NETWORKS, summary } from "./keras.js";
import { announcer, button, choice, define, make } from "./shared.js";

const CLASSES = 10;
const START = "with pooling";
const OWN = "your own network";

// What a reader sets, by the name of the setting: its label, and the values to choose from.
const squares = (from, to) => range(from, to).map((n) => [n, `${n} × ${n}`]);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const WHOLE = { min: 1, max: 999 }; // any whole number
const SETTINGS = {
  Conv2D: {
    filters: ["Kernels", WHOLE],
    size: ["Kernel size", squares(1, 9)],
    padding: ["Padding", ["valid", "same"]],
    stride: ["Stride", range(1, 4)],
    activation: ["Activation", ["relu", "none"]],
  },
  MaxPooling2D: { size: ["Block", squares(2, 8)] },
  Dropout: { rate: ["Rate", range(1, 9).map((tenth) => tenth / 10)] },
  Flatten: {},
  Dense: { units: ["Units", WHOLE], activation: ["Activation", ["relu", "none"]] },
};

const counted = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;

/** Return a shape in words: maps are 30 × 30 × 32, what Flatten and Dense give are numbers. */
export const shapeText = (shape) =>
  shape.length > 1 ? shape.join(" × ") : counted(shape[0], "number");

/** Return a layer's settings in words. What is not said is what Keras takes without being told. */
export const settingsText = ({ kind, filters, size, padding, stride, activation, rate, units }) => {
  const square = `${size}\u00a0×\u00a0${size}`; // never broken
  const parts = {
    Conv2D: () => [
      counted(filters, "kernel"),
      square,
      padding === "same" && "same",
      stride > 1 && `stride ${stride}`,
    ],
    MaxPooling2D: () => [square],
    Dropout: () => [`rate ${rate}`],
    Flatten: () => [],
    Dense: () => [counted(units, "unit")],
  }[kind]();
  return [...parts, activation !== "none" && activation].filter(Boolean).join(", ");
};

/** Return what to know of a layer that Keras takes, but that may not do what was meant, or "". */
export const hintOf = ({ kind }, before) =>
  kind === "Dense" && before.length > 1
    ? `Keras allows this: at each of the ${before[0]} × ${before[1]} places, the same Dense layer ` +
      `takes the ${counted(before[2], "number")} of that place. To join all places, put Flatten above it.`
    : "";

/** Return the network in a sentence or two: what it gives out and costs, or where it stops. */
export const verdict = (layers, rows) => {
  const wrong = rows.findIndex((row) => row.error);
  if (wrong >= 0) {
    return `Keras stops at layer ${wrong + 1}, ${layers[wrong].kind}. ${rows[wrong].error.plain}`;
  }
  const shape = rows.at(-1)?.shape ?? INPUT;
  const total = rows.reduce((sum, { parameters }) => sum + parameters, 0);
  const fits = shape.length === 1 && shape[0] === CLASSES;
  const gives = fits
    ? `The network gives out ${CLASSES} numbers, one for each class.`
    : `The network gives out ${shapeText(shape)}. For the ten classes, end it with Flatten and a ` +
      `Dense layer of ${CLASSES} units.`;
  return `Total: ${counted(total, "parameter")}. ${gives}`;
};

define("network", (panel) => {
  let rows = []; // what stands in the list: each a layer with its elements
  const list = make("ol", { className: "network-layers", role: "list" });
  const says = announcer();
  const text = make("code");

  const show = () => {
    const layers = rows.map((row) => row.layer);
    const lines = summary(layers);
    const most = Math.max(1, ...lines.map(({ parameters }) => parameters));
    rows.forEach((row, place) => {
      const before = place ? lines[place - 1].shape : INPUT;
      const share = lines[place].parameters / most;
      row.show({ ...lines[place], before, place, share, count: rows.length });
    });
    offer(layers, Math.min(after.control.value, rows.length));
    text.textContent = code(layers);
    says.say(verdict(layers, lines));
  };
  /** Let a new layer come below any of these, or below the input; choose one. */
  const offer = (layers, place) => {
    const names = ["Input", ...layers.map((one, number) => `${number + 1}. ${one.kind}`)];
    after.control.replaceChildren(...names.map((text, value) => make("option", { value }, text)));
    after.control.value = place;
  };
  const changed = () => {
    start.control.value = OWN;
    show();
  };
  const arrange = (arranged) => {
    rows = arranged;
    list.replaceChildren(input, ...rows.map((row) => row.element)); // which takes the focus away
    changed();
  };

  const actions = {
    changed,
    remove: (row) => {
      const place = rows.indexOf(row);
      arrange(rows.filter((other) => other !== row));
      (rows[place] ?? rows.at(-1))?.remove.focus();
      if (!rows.length) kind.control.focus();
    },
    move: (row, by) => {
      const place = rows.indexOf(row);
      const others = rows.filter((other) => other !== row);
      arrange([...others.slice(0, place + by), row, ...others.slice(place + by)]);
      const [wanted, other] = by < 0 ? [row.up, row.down] : [row.down, row.up];
      (wanted.disabled ? other : wanted).focus();
    },
  };
  const take = (name) => {
    if (!NETWORKS[name]) return;
    offer(NETWORKS[name], NETWORKS[name].length);
    arrange(NETWORKS[name].map((one) => rowOf({ ...one }, actions)));
    start.control.value = name;
  };
  const add = () => {
    const place = Number(after.control.value);
    const row = rowOf(layer(kind.control.value), actions);
    const arranged = [...rows.slice(0, place), row, ...rows.slice(place)];
    offer(arranged.map((one) => one.layer), place + 1); // so that the next one comes below it
    arrange(arranged);
    (row.open ?? row.remove).focus();
  };

  const start = choice("Start from", [...Object.keys(NETWORKS), OWN], take);
  const kind = choice("New layer", Object.keys(KINDS), () => {});
  const after = choice("below", [], () => {});
  const input = make(
    "li",
    { className: "network-layer" },
    make("span", { className: "network-kind" }, make("b", {}, "Input")),
    make("span", { className: "network-shape" }, shapeText(INPUT)),
  );
  const adding = make("div", { className: "network-add" }, kind, after, button("Add layer", add));
  panel.append(start, list, adding, says, codeBox(text));
  take(START);
});

/** Make a layer's place in the list: its kind and settings, shape, parameters, and buttons. */
const rowOf = (one, { changed, move, remove }) => {
  const settings = make("span");
  const fields = make("div", { className: "network-settings", hidden: true });
  for (const [name, [label, values]] of Object.entries(SETTINGS[one.kind])) {
    fields.append(
      setting(label, values, one[name], (value) => {
        one[name] = value;
        changed();
      }),
    );
  }
  const shape = make("span", { className: "network-shape" });
  const parameters = make("span", { className: "network-parameters" });
  const notes = make("div", { className: "network-notes" });
  const row = {
    layer: one,
    open: fields.childElementCount ? button("", () => toggle(row.open, fields)) : null,
    up: button("↑", () => move(row, -1)),
    down: button("↓", () => move(row, 1)),
    remove: button("✕", () => remove(row)),
  };
  const kind = row.open ?? make("span");
  kind.classList.add("network-kind");
  row.open?.setAttribute("aria-expanded", false);
  const buttons = make("span", { className: "network-buttons" }, row.up, row.down, row.remove);
  const parts = [kind, shape, parameters, buttons, fields, notes];
  row.element = make("li", { className: "network-layer" }, ...parts);

  row.show = (line) => {
    const name = `${line.place + 1}. ${one.kind}`;
    settings.textContent = settingsText(one);
    kind.replaceChildren(make("b", {}, name), " ", settings);
    row.up.setAttribute("aria-label", `Move ${name} up`);
    row.down.setAttribute("aria-label", `Move ${name} down`);
    row.remove.setAttribute("aria-label", `Remove ${name}`);
    [row.up.disabled, row.down.disabled] = [line.place === 0, line.place === line.count - 1];
    shape.textContent = line.shape ? shapeText(line.shape) : line.error ? "error" : "not reached";
    parameters.textContent = line.shape ? counted(line.parameters, "parameter") : "";
    parameters.style.setProperty("--share", line.share);
    row.element.classList.toggle("network-wrong", Boolean(line.error));
    notes.replaceChildren(...notesOf(one, line));
  };
  return row;
};

const notesOf = (one, { error, before }) => {
  if (error) {
    const said = make("code", {}, `ValueError: ${error.keras}`);
    return [make("p", {}, said), make("p", {}, error.plain)];
  }
  const hint = before ? hintOf(one, before) : "";
  return hint ? [make("p", {}, hint)] : [];
};

const toggle = (opener, fields) => {
  fields.hidden = !fields.hidden;
  opener.setAttribute("aria-expanded", !fields.hidden);
};

/** Make the field for one setting: a list of values, or any whole number. */
const setting = (label, values, value, onchange) => {
  if (values === WHOLE) return whole(label, value, onchange);
  const read = typeof value === "number" ? Number : String;
  const field = choice(label, values, (chosen) => onchange(read(chosen)));
  field.control.value = value;
  return field;
};

const whole = (label, value, onchange) => {
  const control = make("input", { type: "number", ...WHOLE, value, required: true });
  control.oninput = () => control.validity.valid && onchange(control.valueAsNumber);
  return make("label", { className: "explorer-field" }, label, control);
};

/** Make the place for the code, with a button that copies it. */
const codeBox = (text) => {
  const name = { role: "region", "aria-label": "Code of this network" };
  const box = make("pre", { ...name, tabIndex: 0 }, text); // it scrolls sideways, by keyboard as well
  const done = make("span", { role: "status" });
  const copy = button("Copy the code", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      done.textContent = " Copied.";
    } catch {
      getSelection().selectAllChildren(text);
      done.textContent = " The code is selected: copy it with Ctrl+C or ⌘C.";
    }
  });
  copy.onblur = () => (done.textContent = "");
  return make("div", { className: "network-code" }, make("p", {}, copy, done), box);
};
