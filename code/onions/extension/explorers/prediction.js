// <onion-prediction>: runs the page's network in the browser. It shows the prediction, the layers'
// maps, and how a grey square over the image changes both.

import { openNetwork } from "./compute.js";
import { softmax, zeros } from "./formulas.js";
import { holder, largePicture } from "./mosaic.js";
import { announcer, button, choice, define, draw, extent, imageChoice, make, normalised, oneMap, part, slider } from "./shared.js";

const GREY = 0.5; // the value of the square's pixels
const STEP = 2; // pixels between the positions of the square that `tryAll` tries

/** Return an image with a grey square of `size` pixels around a pixel, clipped at the border. */
export const cover = ({ shape: [height, width, channels], values }, { row, column, size }) => {
  const covered = values.slice();
  const [top, left] = [row - Math.floor(size / 2), column - Math.floor(size / 2)];
  const [from, to] = [Math.max(left, 0), Math.min(left + size, width)];
  for (let y = Math.max(top, 0); y < Math.min(top + size, height); y++) {
    covered.fill(GREY, (y * width + from) * channels, (y * width + to) * channels);
  }
  return { shape: [height, width, channels], values: covered };
};

define("prediction", async (panel, { layers, images, labels, classes }) => {
  const network = await openNetwork(layers);
  const named = layers.flatMap(({ name }, number) => (name ? [[number, name]] : []));
  const state = { layer: named[0][0], size: 8, row: images.shape[1] / 2, column: images.shape[2] / 2 };
  let image; // without a square
  let without; // the prediction for the image without a square
  let shown; // identifies the latest call of `show`, since predictions arrive later
  let trial; // identifies the latest trial of every place; undefined if there is none

  const predict = async (pixels) => {
    const outputs = await network.forward(pixels);
    const logits = outputs.at(-1).values;
    return { outputs, logits, shares: softmax(logits), answer: logits.indexOf(Math.max(...logits)) };
  };
  const withCertainty = ({ shares }, number) => `${classes[number]} ${shares[number].toFixed(2)}`;

  const counts = holder(panel);
  const move = (row, column, how) => {
    if (!counts(how, row === state.row && column === state.column)) return undefined;
    const [height, width] = image.shape;
    state.row = Math.max(0, Math.min(row, height - 1));
    state.column = Math.max(0, Math.min(column, width - 1));
    return show();
  };
  const canvasOf = (name, step) => {
    const created = largePicture({
      onpoint: ({ row, column }, how) => step() && move(row * step(), column * step(), how),
      onstep: ([down, right]) => move(state.row + down * step(), state.column + right * step(), "key"),
    });
    created.label(`${name} Arrow keys move the grey square.`);
    return created;
  };
  const picture = canvasOf("The image.", () => 1);
  const places = canvasOf("How certain the network stays with the square at each place.", () => (trial ? STEP : 0));
  const answers = answersTable(classes);
  const maps = make("div", { className: "explorer-maps" });
  const status = announcer();

  const show = async () => {
    const call = (shown = {});
    const { size, row, column, layer } = state;
    const pixels = size ? cover(image, state) : image;
    const prediction = size ? await predict(pixels) : without;
    if (shown !== call) return;
    const { answer } = prediction;
    picture.show([pixels]);
    if (trial) places.mark({ top: Math.floor(row / STEP), left: Math.floor(column / STEP), height: 1, width: 1, map: 0 });
    answers.show(prediction, without);
    showMaps(maps, prediction.outputs[layer], layers[layer].name);
    if (!size) return status.say(`Without a square: ${withCertainty(prediction, answer)}.`);
    const before = without.shares[answer].toFixed(2);
    const change = answer === without.answer ? "" : ` Without it, the answer is ${withCertainty(without, without.answer)}.`;
    status.say(`With the square at row ${row + 1}, column ${column + 1}: ${withCertainty(prediction, answer)} (${before} without).${change}`);
  };
  const cancelTrial = () => {
    trial = undefined;
    places.show([zeros([1, 1, 1])], [0, 1]);
    places.figure.classList.add("empty");
    places.caption.textContent = "every place: not tried yet";
  };
  const showImage = async (pixels, text) => {
    image = pixels;
    const prediction = await predict(pixels);
    if (image !== pixels) return; // there is a newer one
    without = prediction;
    picture.caption.textContent = text;
    cancelTrial();
    await show();
  };

  const tryAll = async () => {
    if (!state.size) return status.say("There is no square. Give it a size first.");
    cancelTrial();
    const thisTrial = (trial = {});
    const side = Math.ceil(image.shape[0] / STEP);
    const certainties = zeros([side, side, 1]);
    let changed = 0;
    for (let y = 0; y < side; y++) {
      places.caption.textContent = `trying row ${y + 1} of ${side}`;
      for (let x = 0; x < side; x++) {
        const { shares, answer } = await predict(cover(image, { row: y * STEP, column: x * STEP, size: state.size }));
        if (trial !== thisTrial) return;
        certainties.values[y * side + x] = shares[without.answer];
        if (answer !== without.answer) changed++;
      }
    }
    places.show([certainties], [0, 1]);
    places.figure.classList.remove("empty");
    const name = classes[without.answer];
    places.caption.textContent = `certainty of ${name} for each place of the square: white is 1, black 0`;
    const lowest = certainties.values.indexOf(extent(certainties.values)[0]);
    await move(Math.floor(lowest / side) * STEP, (lowest % side) * STEP, "drag");
    status.say(`${status.textContent} Of ${side ** 2} places, ${name} loses most here. At ${changed}, the answer changes.`);
  };

  const names = Array.from(labels.values, (label) => classes[label]);
  const captionOf = (number) => (number === undefined ? "your own image" : `true class: ${names[number]}`);
  const chooser = imageChoice(images, names, (pixels, number) => showImage(pixels, captionOf(number)));
  panel.append(
    make("p", {}, "Point at the image, or tap it, to move the grey square. Click to hold it, and click there again to let go."),
    make("div", { className: "explorer-row explorer-large" }, picture.figure, places.figure),
    status,
    make(
      "div",
      {},
      slider("Side of the square", { min: 0, max: 16, value: state.size, format: (n) => (n ? `${n} pixels` : "none") }, (size) => {
        state.size = size;
        cancelTrial();
        show();
      }),
      button("Try every place", tryAll),
      chooser,
      chooser.upload,
    ),
    make(
      "div",
      { className: "explorer-row" },
      answers,
      make(
        "div",
        { className: "explorer-part" },
        choice("Maps after the layer", named, (value) => {
          state.layer = Number(value);
          show();
        }),
        maps,
      ),
    ),
  );
  await showImage(normalised(part(images, 0)), captionOf(0));
});

/** Create the table of answers. `show(prediction, without)` fills in both predictions, and sets the
 *  class with the largest logit in bold. */
const answersTable = (classes) => {
  const headings = ["class", "logit", "certainty", "without square"];
  const rows = classes.map((name) => {
    const cells = headings.slice(1).map(() => make("td"));
    const row = make("tr", {}, make("th", { scope: "row" }, name), ...cells);
    return { row, cells };
  });
  const table = make(
    "table",
    { className: "explorer-table" },
    make("caption", {}, "What the last layer says"),
    make("thead", {}, make("tr", {}, ...headings.map((heading) => make("th", { scope: "col" }, heading)))),
    make("tbody", {}, ...rows.map(({ row }) => row)),
  );
  const show = (prediction, without) =>
    rows.forEach(({ row, cells }, number) => {
      const values = [prediction.logits[number], prediction.shares[number], without.shares[number]];
      cells.forEach((cell, i) => (cell.textContent = values[i].toFixed(2).replace("-", "−")));
      cells.slice(1).forEach((cell, i) => cell.style.setProperty("--share", values[i + 1]));
      row.classList.toggle("answer", number === prediction.answer);
    });
  return Object.assign(table, { show });
};

/** Draw each map of a layer in `container`, in its own scale of greys, like the page's figure. */
const showMaps = (container, output, name) => {
  const count = output.shape[2];
  while (container.children.length > count) container.lastChild.remove();
  while (container.children.length < count) container.append(make("canvas", { className: "explorer-picture", role: "img" }));
  [...container.children].forEach((canvas, number) => {
    const map = oneMap(output, number);
    const [low, high] = extent(map.values);
    draw(canvas, map, [low, high]);
    canvas.title = `map ${number + 1} of ${name}: ${low.toFixed(2)} to ${high.toFixed(2)}`;
    canvas.setAttribute("aria-label", canvas.title);
  });
};
