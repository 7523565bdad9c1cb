// <onion-network>: builds a network from layers; shows its shapes, parameters, errors and code.

import { code, INPUT, KINDS, layer, NETWORKS, summary } from "./keras.js";
import { announcer, button, choice, codeBox, define, make } from "./shared.js";

const CLASSES = 10;
const START = "with pooling";
const OWN = "your own network";

const squares = (from, to) => range(from, to).map((n) => [n, `${n} × ${n}`]);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const WHOLE = { min: 1, max: 999 }; // any whole number in this range
// The settings of each kind of layer, by name: [label, values to choose from].
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

const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** Return a shape as text: "30 × 30 × 32" for maps, "10 numbers" after Flatten or Dense. */
export const shapeText = (shape) =>
  shape.length > 1 ? shape.join(" × ") : counted(shape[0], "number");

/** Return a layer's settings as text, without Keras' defaults. */
export const settingsText = ({ kind, filters, size, padding, stride, activation, rate, units }) => {
  const square = `${size}\u00a0×\u00a0${size}`; // non-breaking spaces
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

/** Return a hint about a layer that Keras accepts but the reader may not intend, or "". `before` is
 *  the shape of its input. */
export const hintOf = ({ kind }, before) =>
  kind === "Dense" && before.length > 1
    ? `Keras allows this: at each of the ${before[0]} × ${before[1]} places, the same Dense layer ` +
      `takes the ${counted(before[2], "number")} of that place. To join all places, put Flatten above it.`
    : "";

/** Describe a network: its parameters and output, or Keras' error. `rows` is its `summary`. */
export const verdict = (layers, rows) => {
  const failed = rows.findIndex((row) => row.error);
  if (failed >= 0) {
    return `Keras stops at layer ${failed + 1}, ${layers[failed].kind}. ${rows[failed].error.plain}`;
  }
  const shape = rows.at(-1)?.shape ?? INPUT;
  const total = rows.reduce((sum, { parameters }) => sum + parameters, 0);
  const fits = shape.length === 1 && shape[0] === CLASSES;
  const output = fits
    ? `The network outputs ${CLASSES} numbers, one for each class.`
    : `The network outputs ${shapeText(shape)}. For the ten classes, end it with Flatten and a ` +
      `Dense layer of ${CLASSES} units.`;
  return `Total: ${counted(total, "parameter")}. ${output}`;
};

define("network", (panel) => {
  const text = make("code");
  const parts = builder((layers) => (text.textContent = code(layers)));
  panel.append(...parts, codeBox(text, "Code of this network"));
});

/** Create the parts of a builder of networks. `onchange(layers, rows)` is called with each network and its
 *  `summary`. */
export const builder = (onchange) => {
  let rows = []; // the rows of the list, as `rowOf` returns them
  const past = []; // the networks so far as JSON; the last one is shown
  const list = make("ol", { className: "network-layers", role: "list" });
  const status = announcer();

  const show = () => {
    const layers = rows.map((row) => row.layer);
    const lines = summary(layers);
    const largest = Math.max(1, ...lines.map(({ parameters }) => parameters));
    rows.forEach((row, index) => {
      const before = index ? lines[index - 1].shape : INPUT;
      const share = lines[index].parameters / largest;
      row.show({ ...lines[index], before, index, share, count: rows.length });
    });
    offerPositions(layers, Math.min(after.control.value, rows.length));
    const json = JSON.stringify(layers);
    start.control.value = Object.keys(NETWORKS).find((name) => JSON.stringify(NETWORKS[name]) === json) ?? OWN;
    if (json !== past.at(-1)) past.push(json);
    undo.disabled = past.length < 2;
    status.say(verdict(layers, lines));
    onchange(layers, lines);
  };
  /** List the input and the layers as positions for a new layer, and select one. */
  const offerPositions = (layers, position) => {
    const names = ["Input", ...layers.map(({ kind }, index) => `${index + 1}. ${kind}`)];
    after.control.replaceChildren(...names.map((text, value) => make("option", { value }, text)));
    after.control.value = position;
  };
  const arrange = (arranged) => {
    rows = arranged;
    list.replaceChildren(input, ...rows.map((row) => row.element)); // loses the focus
    show();
  };

  const actions = {
    changed: show,
    remove: (row) => {
      const index = rows.indexOf(row);
      arrange(rows.filter((other) => other !== row));
      (rows[index] ?? rows.at(-1))?.remove.focus();
      if (!rows.length) kind.control.focus();
    },
    move: (row, by) => {
      const index = rows.indexOf(row) + by;
      const others = rows.filter((other) => other !== row);
      arrange([...others.slice(0, index), row, ...others.slice(index)]);
      const [same, opposite] = by < 0 ? [row.up, row.down] : [row.down, row.up];
      (same.disabled ? opposite : same).focus();
    },
  };
  const load = (layers) => {
    const flatten = layers.findIndex(({ kind }) => kind === "Flatten"); // most layers go above it
    offerPositions(layers, flatten < 0 ? layers.length : flatten);
    arrange(layers.map((layer) => rowOf({ ...layer }, actions)));
  };
  const add = () => {
    const position = Number(after.control.value);
    const row = rowOf(layer(kind.control.value), actions);
    const arranged = [...rows.slice(0, position), row, ...rows.slice(position)];
    offerPositions(arranged.map((each) => each.layer), position + 1); // the next layer goes below it
    arrange(arranged);
    (row.open ?? row.remove).focus();
  };

  const undo = button("Undo", () => {
    past.pop();
    load(JSON.parse(past.at(-1)));
    if (undo.disabled) start.control.focus();
  });
  const start = choice("Start from", [...Object.keys(NETWORKS), OWN], (name) => name !== OWN && load(NETWORKS[name]));
  const kind = choice("New layer", Object.keys(KINDS), () => {});
  const after = choice("below", [], () => {});
  const input = make(
    "li",
    { className: "network-layer" },
    make("span", { className: "network-kind" }, make("b", {}, "Input")),
    make("span", { className: "network-shape" }, shapeText(INPUT)),
  );
  const adding = make("div", { className: "network-add" }, kind, after, button("Add layer", add), undo);
  load(NETWORKS[START]);
  return [start, list, adding, status];
};

/** Create a layer's row in the list: its kind and settings, shape, parameters, and buttons. */
const rowOf = (layer, { changed, move, remove }) => {
  const settings = make("span");
  const fields = make("div", { className: "network-settings", hidden: true });
  for (const [name, [label, values]] of Object.entries(SETTINGS[layer.kind])) {
    fields.append(
      setting(label, values, layer[name], (value) => {
        layer[name] = value;
        changed();
      }),
    );
  }
  const shape = make("span", { className: "network-shape" });
  const parameters = make("span", { className: "network-parameters" });
  const notes = make("div", { className: "network-notes" });
  const row = {
    layer,
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
    const name = `${line.index + 1}. ${layer.kind}`;
    settings.textContent = settingsText(layer);
    kind.replaceChildren(make("b", {}, name), " ", settings);
    row.up.setAttribute("aria-label", `Move ${name} up`);
    row.down.setAttribute("aria-label", `Move ${name} down`);
    row.remove.setAttribute("aria-label", `Remove ${name}`);
    [row.up.disabled, row.down.disabled] = [line.index === 0, line.index === line.count - 1];
    shape.textContent = line.shape ? shapeText(line.shape) : line.error ? "error" : "not reached";
    parameters.textContent = line.shape ? counted(line.parameters, "parameter") : "";
    parameters.style.setProperty("--share", line.share);
    row.element.classList.toggle("network-wrong", Boolean(line.error));
    notes.replaceChildren(...notesOf(layer, line));
  };
  return row;
};

const notesOf = (layer, { error, before }) => {
  if (error) {
    const message = make("code", {}, `ValueError: ${error.keras}`);
    return [make("p", {}, message), make("p", {}, error.plain)];
  }
  const hint = before ? hintOf(layer, before) : "";
  return hint ? [make("p", {}, hint)] : [];
};

const toggle = (opener, fields) => {
  fields.hidden = !fields.hidden;
  opener.setAttribute("aria-expanded", !fields.hidden);
};

/** Create the field for one setting: a select, or a number field if `values` is WHOLE. */
const setting = (label, values, value, onchange) => {
  if (values === WHOLE) return numberField(label, value, onchange);
  const parse = typeof value === "number" ? Number : String;
  const field = choice(label, values, (chosen) => onchange(parse(chosen)));
  field.control.value = value;
  return field;
};

const numberField = (label, value, onchange) => {
  const control = make("input", { type: "number", ...WHOLE, value, required: true });
  control.oninput = () => control.validity.valid && onchange(control.valueAsNumber);
  return make("label", { className: "explorer-field" }, label, control);
};
