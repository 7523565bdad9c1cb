// <onion-prediction>: runs the page's network in the browser. It shows the prediction, the layers'
// maps, and how a grey square over the image changes both.

import { forward, softmax, zeros } from "./layers.js";
import {
  announcer,
  button,
  choice,
  define,
  draw,
  extent,
  make,
  normalised,
  oneMap,
  ownImage,
  part,
  picture,
  slider,
  walk,
} from "./shared.js";

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

define("prediction", (panel, { layers: network, images, labels, classes }) => {
  const named = network.flatMap(({ name }, number) => (name ? [[number, name]] : []));
  const state = { layer: named[0][0], size: 8, row: 0, column: 0 };
  let image; // without a square
  let uploaded; // the reader's own image
  let without; // the prediction for the image without a square
  let trial; // identifies the latest trial of every position; undefined if there is none

  const predict = (pixels) => {
    const outputs = forward(network, pixels);
    const logits = outputs.at(-1).values;
    return { outputs, logits, shares: softmax(logits), answer: logits.indexOf(Math.max(...logits)) };
  };
  const withCertainty = ({ shares }, number) => `${classes[number]} ${shares[number].toFixed(2)}`;

  const canvas = picture("The image. Arrow keys move the grey square.", 144);
  const truth = make("figcaption");
  const placesMap = picture("How certain the network stays with the square at each place", 144);
  const placesText = make("figcaption");
  const answers = answersTable(classes);
  const maps = make("div", { className: "explorer-maps" });
  const status = announcer();

  const show = () => {
    const { size, row, column } = state;
    const pixels = size ? cover(image, state) : image;
    const prediction = size ? predict(pixels) : without;
    const { answer } = prediction;
    draw(canvas, pixels);
    answers.show(prediction, without);
    showMaps(maps, prediction.outputs[state.layer], network[state.layer].name);
    if (!size) return status.say(`Without a square: ${withCertainty(prediction, answer)}.`);
    const before = without.shares[answer].toFixed(2);
    const change = answer === without.answer ? "" : ` Without it, the answer is ${withCertainty(without, without.answer)}.`;
    status.say(`With the square at row ${row + 1}, column ${column + 1}: ${withCertainty(prediction, answer)} (${before} without).${change}`);
  };
  const cancelTrial = () => {
    trial = undefined;
    draw(placesMap, zeros([1, 1, 1]));
    placesMap.classList.add("empty");
    placesText.textContent = "every place: not tried yet";
  };
  const showImage = (pixels, text) => {
    [image, without] = [pixels, predict(pixels)];
    truth.textContent = text;
    cancelTrial();
    show();
  };

  const tryAll = async () => {
    if (!state.size) return status.say("There is no square. Give it a size first.");
    const thisTrial = (trial = {});
    const side = Math.ceil(image.shape[0] / STEP);
    const certainties = zeros([side, side, 1]);
    let changed = 0;
    for (let y = 0; y < side; y++) {
      placesText.textContent = `trying row ${y + 1} of ${side}`;
      await new Promise(requestAnimationFrame); // keeps the page responsive
      if (trial !== thisTrial) return;
      for (let x = 0; x < side; x++) {
        const { shares, answer } = predict(cover(image, { row: y * STEP, column: x * STEP, size: state.size }));
        certainties.values[y * side + x] = shares[without.answer];
        if (answer !== without.answer) changed++;
      }
    }
    draw(placesMap, certainties, [0, 1]);
    placesMap.classList.remove("empty");
    const name = classes[without.answer];
    placesText.textContent = `certainty of ${name} for each place of the square: white is 1, black 0`;
    const lowest = certainties.values.indexOf(extent(certainties.values)[0]);
    go(Math.floor(lowest / side) * STEP, (lowest % side) * STEP);
    status.say(`${status.textContent} Of ${side ** 2} places, ${name} loses most here. At ${changed}, the answer changes.`);
  };

  const go = walk(canvas, (row, column) => {
    Object.assign(state, { row, column });
    if (image) show();
  });
  const pictures = Array.from(labels.values, (label, i) => [i, `${i + 1}: ${classes[label]}`]);
  const chooser = choice("Image", pictures, (value) => {
    if (value === "own") return showImage(uploaded, "your own image");
    showImage(normalised(part(images, Number(value))), `true class: ${classes[labels.values[value]]}`);
  });
  const upload = ownImage((pixels) => {
    if (!uploaded) chooser.control.append(make("option", { value: "own" }, "your own"));
    uploaded = pixels;
    chooser.control.value = "own";
    chooser.control.onchange();
  });
  panel.append(
    chooser,
    slider("Side of the square", { min: 0, max: 16, value: state.size, format: (n) => (n ? `${n} pixels` : "none") }, (size) => {
      state.size = size;
      cancelTrial();
      show();
    }),
    button("Try every place", tryAll),
    make(
      "div",
      { className: "explorer-row" },
      make(
        "div",
        { className: "explorer-part" },
        make("div", { className: "explorer-row" }, make("figure", {}, canvas, truth), make("figure", {}, placesMap, placesText)),
        status,
        choice("Maps after the layer", named, (value) => {
          state.layer = Number(value);
          show();
        }),
        maps,
      ),
      answers,
    ),
    upload,
  );
  const middle = images.shape[1] / 2;
  go(middle, middle);
  chooser.control.onchange();
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
  while (container.children.length < count) container.append(picture("", 0));
  [...container.children].forEach((canvas, number) => {
    const map = oneMap(output, number);
    const [low, high] = extent(map.values);
    draw(canvas, map, [low, high]);
    canvas.title = `map ${number + 1} of ${name}: ${low.toFixed(2)} to ${high.toFixed(2)}`;
    canvas.setAttribute("aria-label", canvas.title);
  });
};
