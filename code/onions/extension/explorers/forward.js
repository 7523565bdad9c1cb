// <onion-forward>: a trained network at work on one image. Point at any value: its receptive field is
// outlined in every earlier stage, and the sum or the block behind it opens.

import { openNetwork } from "./compute.js";
import { softmax } from "./layers.js";
import { mosaic } from "./mosaic.js";
import { announcer, choice, colour, define, extent, make, normalised, oneMap, ownImage, part, tick } from "./shared.js";
import { blockOf, centred, grid, products, receptiveFields, stageNames, stagesOf, weightsOf } from "./sums.js";
import { COLOURS, decimal, productTable } from "./tables.js";

const GAP = 4; // between two maps, in canvas pixels
const TILE = 60; // side of a map in the overview, in canvas pixels
const LARGE = 560; // side of an enlarged map, in canvas pixels

define("forward", async (panel, { layers, images, labels, classes }, { lit = "", small }) => {
  const network = await openNetwork(layers);
  let image = normalised(part(images, 0));
  let stages = stagesOf(layers, image, await network.forward(image));
  const last = stages.length - 1;
  const names = stageNames(stages);
  // The chosen cell of each stage; `channel` is the input map whose products are shown, null for
  // the one with the largest sum.
  const cells = stages.map(({ output: { shape } }) => ({ row: shape[0] >> 1, column: shape[1] >> 1, map: 0 }));
  const dim = stages.map(({ kind }) => lit && !lit.split(" ").includes(kind));
  const state = { stage: Math.max(dim.indexOf(false), 1), channel: null, held: false, paint: false };

  /** Choose a cell by pointing (`how` is undefined), a "drag", a "click" or a "key". A click or a
   *  key holds the cell: then pointing changes nothing until it is clicked again. */
  const choose = (stage, cell, how) => {
    if (state.held && !how) return;
    const chosen = cells[stage];
    const again = state.stage === stage && Object.entries(cell).every(([key, value]) => chosen[key] === value);
    if (how === "click") state.held = !(state.held && again);
    if (how === "key") state.held = true;
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
    return i ? mosaic(4, TILE, { onpoint, onstep: step(i, 4) }) : mosaic(1, 4 * TILE + 3 * GAP, { onpoint, onstep: step(0, 0) });
  });
  const answers = answerButtons(classes, (map, how) => choose(last, { map }, how));
  const enlarged = (onpoint, onpress) => {
    const maps = mosaic(1, LARGE, { onpoint, onpress, onstep: (move) => step(state.stage, 0)(move) });
    const caption = make("figcaption");
    const enlarge = (tensor, range, text, field) => {
      maps.show([tensor], range);
      maps.mark(field);
      caption.textContent = text;
      maps.canvas.setAttribute("aria-label", `Enlarged: ${text}. Arrow keys choose a value.`);
    };
    return { figure: make("figure", {}, maps.canvas, caption), enlarge };
  };
  const before = enlarged(({ row, column }, how) => {
    choose(state.stage, centred(stages, state.stage, row, column), state.paint ? how && "drag" : how);
    if (how) paint();
  }, () => paint());
  const after = enlarged(({ row, column }, how) => stages[state.stage].kind !== "Dense" && choose(state.stage, { row, column }, how));
  const parts = partChooser((channel) => {
    state.channel = channel;
    show();
  });
  const tables = make("div", { className: "explorer-row explorer-tables" });
  const status = announcer();

  const setImage = async (newImage) => {
    image = newImage;
    const outputs = await network.forward(newImage);
    if (image === newImage) showImage(stagesOf(layers, newImage, outputs)); // else there is a newer one
  };
  const showImage = (newStages) => {
    stages = newStages;
    stages.slice(0, last).forEach(({ output }, i) => overview[i].show(i ? mapsOf(output) : [output], rangeOf(stages, i)));
    answers.show(stages[last].output.values);
    show();
  };

  const show = () => {
    const cell = cells[state.stage];
    const { kind, kernel } = stages[state.stage];
    const fields = receptiveFields(stages, state.stage, cell);
    fields[state.stage] = { top: cell.row, left: cell.column, height: 1, width: 1, map: cell.map };
    overview.forEach((maps, i) => maps.mark(fields[i]));
    answers.mark(state.stage === last ? cell.map : null);
    const input = stages[state.stage - 1]?.output; // the image has none
    const sums = kernel ? products(input, kernel, cell, stages[state.stage]) : [];
    const totals = sums.map(total);
    const largest = totals.reduce((best, value, i) => (Math.abs(value) > Math.abs(totals[best]) ? i : best), 0);
    const channel = kind === "MaxPooling2D" ? cell.map : (state.channel ?? largest) % (sums.length || 1);
    parts.show(sums.length > COLOURS.length ? totals : [], channel, input?.shape[0] === 1 ? "neuron" : "map");
    showEnlarged(state.stage, cell, channel, fields[state.stage - 1] && { ...fields[state.stage - 1], map: 0 });
    tables.replaceChildren(...(kind === "MaxPooling2D" ? [blockTable(blockOf(stages, state.stage, cell))] : tablesOf(sums, channel, kernel?.shape[1])));
    status.say(`${placeOf(state.stage, cell)}: ${origin(stages, state.stage, cell, totals)}${reach(stages, state.stage && fields[0])}`);
  };

  /** Show what the cell is computed from, and the map or the weights that it belongs to. */
  const showEnlarged = (stage, { row, column, map }, channel, field) => {
    const { kind, output, kernel } = stages[stage];
    const cell = { top: row, left: column, height: 1, width: 1, map: 0 };
    after.figure.style.visibility = stage ? "" : "hidden"; // keeps its place
    if (stage === 0) return before.enlarge(output, null, names[0], cell);
    const { output: input } = stages[stage - 1];
    const black = rangeOf(stages, stage - 1);
    if (stage === 1) before.enlarge(input, null, names[0], field);
    else if (input.shape[0] === 1) before.enlarge(grid(input.values), black, `values of the ${names[stage - 1]}`);
    else before.enlarge(oneMap(input, channel), black, `${names[stage - 1]}, map ${channel + 1}`, field);
    if (kind !== "Dense") return after.enlarge(oneMap(output, map), rangeOf(stages, stage), `${names[stage]}, map ${map + 1}`, cell);
    const limit = Math.max(...extent(kernel.values).map(Math.abs));
    after.enlarge(weightsOf(kernel, map, channel), [-limit, limit], "their weights: grey is zero, white positive, black negative");
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

  const placeOf = (stage, { row, column, map }) => {
    const [height, , maps] = stages[stage].output.shape;
    if (stage === last) return `Logit of ${classes[map]}`;
    const name = names[stage][0].toUpperCase() + names[stage].slice(1);
    if (height === 1) return `${name}, neuron ${map + 1} of ${maps}`;
    return `${name}${stage ? `, map ${map + 1} of ${maps}` : ""}, row ${row + 1}, column ${column + 1}`;
  };

  const captioned = ({ canvas }, i) => {
    canvas.setAttribute("aria-label", `${names[i]}. Arrow keys choose a value.`);
    return make("figure", { className: dim[i] ? "dim" : "" }, canvas, make("figcaption", {}, names[i], make("br"), stages[i].output.shape.filter((side) => side > 1).join(" × ")));
  };
  let uploaded; // the reader's own image
  const pictures = labels.map((label, i) => [i, `${i + 1}: ${label}`]);
  const chooser = choice("Image", pictures, (value) => setImage(value === "own" ? uploaded : normalised(part(images, Number(value)))));
  const showOwn = (image) => {
    if (!uploaded) chooser.control.append(make("option", { value: "own" }, "your own"));
    uploaded = image;
    chooser.control.value = "own";
    setImage(image);
  };
  const brush = colour("Colour", "#ff7800");
  const painting = tick("Paint on the enlarged image", false, (on) => {
    state.paint = on;
    if (on) choose(0, {}, "key");
  });
  /** Paint the chosen pixel and three neighbours, if the reader is painting. */
  const paint = () => {
    if (!state.paint || state.stage !== 0) return;
    const { shape, values } = image;
    const colours = [1, 3, 5].map((start) => parseInt(brush.control.value.slice(start, start + 2), 16) / 255);
    const painted = values.slice();
    for (const [down, right] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
      const [row, column] = [Math.min(cells[0].row + down, shape[0] - 1), Math.min(cells[0].column + right, shape[1] - 1)];
      painted.set(colours, 3 * (row * shape[1] + column));
    }
    showOwn({ shape, values: painted });
  };
  panel.append(
    make("p", {}, "Point at a value to see what it is made of. A click holds it; a second click lets go."),
    make("div", { className: "forward-stages" }, ...overview.map(captioned), answers),
    status,
  );
  const whole = [
    make("div", { className: "explorer-row explorer-large" }, before.figure, after.figure),
    make("div", { className: "forward-sum" }, tables, parts),
    make("div", {}, chooser, painting, brush, ownImage(showOwn)),
  ];
  if (small === undefined) panel.append(...whole);
  showImage(stages);
});

const total = (list) => list.reduce((sum, { product }) => sum + product, 0);
const mapsOf = (output) => Array.from({ length: output.shape[2] }, (_, map) => oneMap(output, map));

/** Return [black, white] of a stage's maps. Pooling has the range of its input. */
const rangeOf = (stages, number) => {
  const { kind, output } = stages[number];
  return kind === "MaxPooling2D" ? rangeOf(stages, number - 1) : [0, extent(output.values)[1]];
};

/** Return the tables of a value's products: those of each colour, or those of the chosen map. */
const tablesOf = (sums, channel, columns) => {
  if (sums.length === COLOURS.length) return sums.map((list, i) => productTable(COLOURS[i], list));
  return sums.slice(channel, channel + 1).map((list) => productTable(`${columns > 1 ? "Map" : "Neuron"} ${channel + 1}`, list, columns));
};

/** Create the table of a block of 2 × 2, with its largest value in bold. */
const blockTable = (block) => {
  const cells = block.map((value) => make("td", {}, value === Math.max(...block) ? make("strong", {}, decimal(value)) : decimal(value)));
  const rows = [cells.slice(0, 2), cells.slice(2)].map((row) => make("tr", {}, ...row));
  return make("table", { className: "explorer-products" }, make("caption", {}, "Block; largest in bold"), make("tbody", {}, ...rows));
};

/** Say how a value comes about: from which sum, or from which block. */
const origin = (stages, number, { row, column, map }, totals) => {
  const { kind, output, bias, activation, window } = stages[number];
  const [, width, maps] = output.shape;
  const value = output.values[(row * width + column) * maps + map];
  if (number === 0) {
    const colours = output.values.subarray((row * width + column) * maps).subarray(0, maps);
    return `${COLOURS.map((name, i) => `${name.toLowerCase()} ${decimal(colours[i])}`).join(", ")}.`;
  }
  if (kind === "MaxPooling2D") return `the largest of ${blockOf(stages, number, { row, column, map }).map(decimal).join(", ")} is ${decimal(value)}.`;
  const sum = totals.reduce((a, b) => a + b, 0);
  const count = totals.length * window[0] * window[1];
  const text = `${count} products add up to ${decimal(sum)}; with the bias ${decimal(bias.values[map])} that is ${decimal(sum + bias.values[map])}.`;
  return activation === "relu" ? `${text} ReLU makes it ${decimal(value)}.` : text;
};

/** Say which part of the image a value depends on. */
const reach = (stages, field) => {
  if (!field) return ""; // the value is a pixel
  const [height, width] = stages[0].output.shape;
  const { height: tall, width: wide } = field;
  return tall === height && wide === width ? " It depends on the whole image." : ` It depends on ${tall} × ${wide} pixels.`;
};

/** Create the ten answers: buttons with certainties. `onpoint(class, how)` as in `choose`. */
const answerButtons = (classes, onpoint) => {
  const buttons = classes.map((name, i) => {
    const share = make("span");
    const control = make("button", { type: "button", onclick: () => onpoint(i, "click"), onpointerenter: () => onpoint(i) }, name, share);
    return Object.assign(control, { share });
  });
  const list = make("div", { className: "forward-answers", role: "group", "aria-label": "How certain the network is of each class" }, ...buttons);
  const show = (logits) =>
    softmax(logits).forEach((certainty, i) => {
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
  const name = "forward-part";
  const show = (totals, channel, input) => {
    chooser.hidden = !totals.length;
    if (chooser.children.length - 1 !== totals.length) {
      const radios = totals.map((_, i) => make("label", {}, make("input", { type: "radio", name, onchange: () => onchange(i) }), make("span")));
      chooser.replaceChildren(legend, ...radios);
    }
    legend.textContent = `The sum has ${totals.length} parts, one for each ${input}. Choose one to see its products.`;
    const largest = Math.max(...totals.map(Math.abs), 1e-9);
    totals.forEach((value, i) => {
      const label = chooser.children[i + 1];
      label.firstChild.checked = i === channel;
      label.lastChild.textContent = decimal(value);
      label.firstChild.setAttribute("aria-label", `${i + 1}: ${decimal(value)}`);
      label.style.setProperty("--share", Math.abs(value) / largest);
    });
  };
  return Object.assign(chooser, { show });
};
