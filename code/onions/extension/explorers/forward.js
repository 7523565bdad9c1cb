// <onion-forward>: a trained network at work on one image. Point at any value: its receptive field is
// outlined in every earlier stage, and the sum or the block behind it opens.

import { openNetwork } from "./compute.js";
import { explain } from "./explain.js";
import { softmax } from "./formulas.js";
import { GAP, holder, largePicture, mosaic } from "./mosaic.js";
import { announcer, button, colour, define, extent, imageChoice, make, normalised, oneMap, part, tick } from "./shared.js";
import { blockOf, centred, grid, largestSource, products, receptiveFields, stageNames, stagesOf, total, weightsOf } from "./sums.js";
import { blockTable, COLOURS, decimal, productTable } from "./tables.js";

const TILE = 60; // side of a map in the overview, in canvas pixels
const COLUMNS = 4; // maps in a row of the overview, and neurons in a row of their picture

define("forward", async (panel, { layers, images, labels, classes }, { lit = "", small }) => {
  const network = await openNetwork(layers);
  let [image, label] = [normalised(part(images, 0)), labels[0]]; // one's own image has no label
  let stages = stagesOf(layers, image, await network.forward(image));
  const last = stages.length - 1;
  const names = stageNames(stages);
  let ranges; // [black, white] of each stage's maps
  // The chosen cell of each stage, at first its largest value or, in the image, its middle. `channel`
  // is the input map whose products are shown, null for the one that adds most.
  const cells = stages.map(({ output }, i) => (i ? cellOfLargest(output) : { row: 16, column: 16, map: 0 }));
  const dim = stages.map(({ kind }) => lit && !lit.split(" ").includes(kind));
  const state = { stage: Math.max(dim.indexOf(false), 1), channel: null, paint: false };

  let shownChannel = 0; // the input map that is shown enlarged
  const counts = holder(panel);
  /** Choose a cell by pointing (`how` is undefined), a "drag", a "click" or a "key". */
  const choose = (stage, cell, how) => {
    const chosen = cells[stage];
    const again = state.stage === stage && Object.entries(cell).every(([key, value]) => chosen[key] === value);
    if (!counts(how, again)) return;
    if (state.stage !== stage || (cell.map ?? chosen.map) !== chosen.map) state.channel = null;
    Object.assign(chosen, cell);
    state.stage = stage;
    requestShow();
  };
  /** Choose the neighbour of a stage's cell. From the edge of a map, go to the next one if maps are
   *  shown in rows of `columns`. */
  const step = (stage, columns) => ([down, right]) => {
    const [height, width, maps] = stages[stage].output.shape;
    const { row, column, map } = cells[stage];
    const [y, x] = [row + down, column + right];
    const inside = y >= 0 && y < height && x >= 0 && x < width;
    const next = inside ? map : map + down * columns + right;
    const sameRow = Math.floor(next / columns) === Math.floor(map / columns);
    const exists = inside || (columns > 0 && next >= 0 && next < maps && (down || sameRow));
    choose(stage, exists ? { row: (y + height) % height, column: (x + width) % width, map: next } : {}, "key");
  };

  const overview = stages.slice(0, last).map((_, i) => {
    const onpoint = (cell, how) => choose(i, cell, how);
    if (i === 0) return mosaic(1, COLUMNS * (TILE + GAP) - GAP, { onpoint, onstep: step(0, 0) });
    return mosaic(COLUMNS, TILE, { onpoint, onstep: step(i, COLUMNS) });
  });
  const answers = answerButtons(classes, (map, how) => choose(last, { map }, how));
  const enlarged = (onpoint, onpress) => {
    const picture = largePicture({ onpoint, onpress, onstep: (move) => step(state.stage, 0)(move) });
    const enlarge = (tensor, range, text, field) => {
      picture.show([tensor], range);
      picture.mark(field);
      picture.caption.textContent = text;
      picture.label(`Enlarged: ${text}. Arrow keys choose a value.`);
    };
    return { figure: picture.figure, enlarge };
  };
  // Pointing at the source moves the value's window there; a click goes on to the source itself.
  const before = enlarged(({ row, column }, how) => {
    const { stage } = state;
    if (stage === 0) {
      choose(0, { row, column }, state.paint ? how && "drag" : how);
      if (how) paint();
    } else if (how === "click") {
      const neurons = stages[stage - 1].output.shape[0] === 1;
      const source = neurons ? { map: row * COLUMNS + column } : { row, column, map: shownChannel };
      choose(stage - 1, stage === 1 ? { row, column } : source, how);
    } else if (stages[stage].kind !== "Dense") choose(stage, centred(stages, stage, row, column), how);
  }, () => paint());
  const after = enlarged((cell, how) => {
    if (stages[state.stage].kind !== "Dense") choose(state.stage, { row: cell.row, column: cell.column }, how);
  });
  const parts = partChooser((channel) => {
    state.channel = channel;
    show();
  });
  let source; // the cell of the stage before that adds most, or that pooling chose
  const back = button("", () => choose(state.stage - 1, source, "click"));
  const verdict = make("p", { className: "forward-verdict" });
  const tables = make("div", { className: "explorer-row explorer-tables" });
  const status = announcer();

  const setImage = async (newImage, number) => {
    [image, label] = [newImage, labels[number]];
    const outputs = await network.forward(newImage);
    if (image === newImage) showImage(stagesOf(layers, newImage, outputs)); // else there is a newer one
  };
  const showImage = (newStages) => {
    stages = newStages;
    ranges = stages.map((_, i) => rangeOf(stages, i));
    overview.forEach((maps, i) => {
      const { output } = stages[i];
      maps.show(i ? mapsOf(output) : [output], ranges[i]);
    });
    const certainties = softmax(stages[last].output.values);
    const answer = certainties.indexOf(Math.max(...certainties));
    answers.show(certainties);
    verdict.textContent = verdictOn(label, classes[answer], certainties[answer]);
    show();
  };

  const show = () => {
    const cell = cells[state.stage];
    const { kind, kernel } = stages[state.stage];
    const fields = receptiveFields(stages, state.stage, cell);
    fields[state.stage] = { top: cell.row, left: cell.column, height: 1, width: 1, map: cell.map };
    if (kind === "Dense") fields.fill(undefined, 1, state.stage); // it depends on all of them
    answers.mark(state.stage === last ? cell.map : null);
    const input = stages[state.stage - 1]?.output; // the image has none
    const sums = kernel ? products(input, kernel, cell, stages[state.stage]) : [];
    const totals = sums.map(total);
    const wrong = rivalOf(state.stage, cell); // the true class, if this is the answer in its place
    const rival = wrong < 0 ? null : products(input, kernel, { ...cell, map: wrong }, stages[state.stage]).map(total);
    const compared = totals.map((value, i) => value - (rival?.[i] ?? 0));
    const channel = kind === "MaxPooling2D" ? cell.map : (state.channel ?? compared.indexOf(Math.max(...compared))) % (sums.length || 1);
    const part = input?.shape[0] === 1 ? "neuron" : "map";
    const legend = rival
      ? comparison(classes[cell.map], totals[channel], classes[wrong], rival[channel], channel)
      : `The sum has ${sums.length} parts, one for each ${part} (hollow: negative). Choose one to see its products.`;
    parts.show(sums.length > COLOURS.length ? compared : [], channel, legend);
    const pools = kind === "MaxPooling2D";
    const chosen = pools ? blockOf(stages, state.stage, cell) : (sums[channel] ?? []).map(({ product }) => product);
    back.hidden = state.stage < 2;
    if (!back.hidden) source = { ...largestSource(stages, state.stage, cell, chosen), map: channel };
    back.textContent = `Follow ${part} ${channel + 1} back`;
    showEnlarged(state.stage, cell, channel, fields[state.stage - 1] && { ...fields[state.stage - 1], map: 0 });
    shownChannel = channel;
    if (kind === "Dense") fields[state.stage - 1] = wholeMap(input, channel);
    overview.forEach((maps, i) => maps.mark(fields[i]));
    tables.replaceChildren(...(pools ? [blockTable(chosen)] : tablesOf(sums, channel, kernel)));
    status.say(explain({ stages, names, classes }, state.stage, cell, totals, fields[0]));
  };

  /** Return the number of the true class if a cell is the network's answer and wrong, else -1. */
  const rivalOf = (stage, { map }) => {
    const { values } = stages[last].output;
    const answered = stage === last && map === values.indexOf(Math.max(...values));
    return answered && label !== classes[map] ? classes.indexOf(label) : -1;
  };

  /** Show what the cell is computed from, and the map or the weights that it belongs to. */
  const showEnlarged = (stage, { row, column, map }, channel, field) => {
    const { kind, output, kernel } = stages[stage];
    const cell = { top: row, left: column, height: 1, width: 1, map: 0 };
    after.figure.style.visibility = stage ? "" : "hidden"; // keeps its place
    if (stage === 0) return before.enlarge(output, null, names[0], cell);
    const { output: input } = stages[stage - 1];
    const neuron = { top: Math.floor(channel / COLUMNS), left: channel % COLUMNS, height: 1, width: 1, map: 0 };
    const range = ranges[stage - 1];
    if (stage === 1) before.enlarge(input, null, names[0], field);
    else if (input.shape[0] === 1) before.enlarge(grid(input.values), range, `values of the ${names[stage - 1]}`, neuron);
    else before.enlarge(oneMap(input, channel), range, `${names[stage - 1]}, map ${channel + 1}`, field);
    const text = `${names[stage]}, map ${map + 1}`;
    if (kind !== "Dense") return after.enlarge(oneMap(output, map), ranges[stage], text, cell);
    const limit = Math.max(...extent(kernel.values).map(Math.abs));
    const legend = "the weights; grey is zero, white positive";
    after.enlarge(weightsOf(kernel, map, channel), [-limit, limit], legend, input.shape[0] === 1 ? neuron : undefined);
  };

  let requested = false;
  /** Show the state in the next frame: a fast pointer costs one update a frame. */
  const requestShow = () => {
    if (requested) return;
    requested = true;
    requestAnimationFrame(() => {
      requested = false;
      show();
    });
  };

  const captioned = ({ canvas }, i) => {
    canvas.setAttribute("aria-label", `${names[i]}. Arrow keys choose a value.`);
    const shape = stages[i].output.shape.filter((side) => side > 1).join(" × ");
    const caption = make("figcaption", {}, names[i], make("br"), shape);
    return make("figure", { className: dim[i] ? "dim" : "" }, canvas, caption);
  };
  const chooser = imageChoice(images, labels, setImage);
  const brush = colour("Colour", "#ff7800");
  const painting = tick("Paint on the enlarged image", false, (on) => {
    state.paint = on;
    if (on) choose(0, {}, "key");
  });
  const paint = () => {
    if (state.paint && state.stage === 0) chooser.setOwn(painted(image, cells[0], brush.control.value));
  };
  panel.append(
    make("p", {}, "Point at a value, or tap it, to see what it is made of. Click to hold it, and click there again to let go."),
    make("div", { className: "explorer-row" }, chooser, verdict),
    make("div", { className: "forward-stages" }, ...overview.map(captioned), answers),
    status,
  );
  const whole = [
    make("div", { className: "explorer-row explorer-large" }, before.figure, after.figure),
    make("div", { className: "forward-sum" }, make("div", {}, tables, back), parts),
    make("div", {}, painting, brush, chooser.upload),
  ];
  if (small === undefined) panel.append(...whole);
  showImage(stages);
});

/** Return the cell of the largest value of a stage's output [rows, columns, maps]. */
const cellOfLargest = ({ shape: [, columns, maps], values }) => {
  const largest = values.indexOf(extent(values)[1]);
  const place = Math.floor(largest / maps);
  return { row: Math.floor(place / columns), column: place % columns, map: largest % maps };
};

/** Return the outline of a whole map of a stage's output, or of a neuron. */
const wholeMap = ({ shape: [height, width] }, map) => ({ top: 0, left: 0, height, width, map });

const mapsOf = (output) => Array.from({ length: output.shape[2] }, (_, map) => oneMap(output, map));

/** Return [black, white] of a stage's maps. Pooling has the range of its input. */
const rangeOf = (stages, number) => {
  const { kind, output } = stages[number];
  return kind === "MaxPooling2D" ? rangeOf(stages, number - 1) : [0, extent(output.values)[1]];
};

/** Say what the network answers; `label` is undefined for a reader's own image. */
const verdictOn = (label, answer, certainty) => {
  const text = `The network answers ${answer}, ${decimal(certainty)}`;
  if (!label) return `${text}.`;
  return label === answer ? `${text}: right.` : `${text}: wrong, it is ${/^[aeiou]/.test(label) ? "an" : "a"} ${label}.`;
};

/** Say how much a neuron adds to the answer and to the true class. */
const comparison = (answer, forAnswer, truth, forTruth, neuron) =>
  `By how much each neuron puts ${answer} ahead of ${truth} (hollow: behind). Neuron ${neuron + 1} adds ` +
  `${decimal(forAnswer)} to ${answer} and ${decimal(forTruth)} to ${truth}.`;

/** Return a copy of an image with two pixels by two at a cell in a colour like "#ff7800". */
const painted = ({ shape, values }, { row, column }, hex) => {
  const colours = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16) / 255);
  const copy = values.slice();
  for (const y of [row, Math.min(row + 1, shape[0] - 1)]) {
    for (const x of [column, Math.min(column + 1, shape[1] - 1)]) copy.set(colours, 3 * (y * shape[1] + x));
  }
  return { shape, values: copy };
};

/** Return the tables of a value's products: those of each colour, or those of the chosen input. */
const tablesOf = (sums, channel, kernel) => {
  if (!sums.length) return [];
  if (sums.length === COLOURS.length) return sums.map((list, i) => productTable(COLOURS[i], list));
  const columns = kernel.shape[1];
  return [productTable(`${columns > 1 ? "Map" : "Neuron"} ${channel + 1}`, sums[channel], columns)];
};

/** Create the ten answers: buttons with certainties. `onpoint(class, how)` as in `choose`. */
const answerButtons = (classes, onpoint) => {
  const buttons = classes.map((name, i) => {
    const share = make("span");
    const control = button(name, () => onpoint(i, "click"));
    control.onpointerenter = () => onpoint(i);
    control.append(share);
    return Object.assign(control, { share });
  });
  const label = "How certain the network is of each class";
  const list = make("div", { className: "forward-answers", role: "group", "aria-label": label }, ...buttons);
  const show = (certainties) =>
    certainties.forEach((certainty, i) => {
      buttons[i].share.textContent = decimal(certainty);
      buttons[i].style.setProperty("--share", certainty);
    });
  const mark = (chosen) => buttons.forEach((control, i) => control.setAttribute("aria-pressed", i === chosen));
  return Object.assign(list, { show, mark });
};

/** Create the chooser of the input map whose products are shown, by the sum of each. */
const partChooser = (onchange) => {
  const legend = make("legend");
  const chooser = make("fieldset", { className: "forward-parts" }, legend);
  const show = (totals, channel, text) => {
    chooser.hidden = !totals.length;
    if (chooser.children.length - 1 !== totals.length) {
      const radio = (i) => make("input", { type: "radio", name: "forward-part", onchange: () => onchange(i) });
      chooser.replaceChildren(legend, ...totals.map((_, i) => make("label", {}, radio(i), make("span"))));
    }
    legend.textContent = text;
    const largest = Math.max(...totals.map(Math.abs), 1e-9);
    totals.forEach((value, i) => {
      const label = chooser.children[i + 1];
      label.firstChild.checked = i === channel;
      label.lastChild.replaceChildren(`${i + 1}`, make("small", {}, `: ${decimal(value)}`));
      label.classList.toggle("negative", value < 0);
      label.firstChild.setAttribute("aria-label", `${i + 1}: ${decimal(value)}`);
      label.style.setProperty("--share", Math.abs(value) / largest);
    });
  };
  return Object.assign(chooser, { show });
};
