// <onion-prediction>: the page's network, asked in the browser: its answer, the maps of its layers,
// and what of both a grey square over the picture changes.

import { conv2d, dense, pool2d, relu, softmax, zeros } from "./layers.js";
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

const GREY = 0.5; // of the square
const STEP = 2; // pixels from one place to the next, where every place is tried

const KINDS = {
  Conv2D: ({ weights: [kernel, bias], strides: [stride], padding }, maps) =>
    conv2d(maps, kernel, bias, { stride, padding }),
  MaxPooling2D: ({ pool_size: [size], strides: [stride], padding }, maps) =>
    pool2d(maps, "max", { size, stride, padding }),
  Dropout: (_, input) => input, // at prediction it changes nothing
  Flatten: (_, { values }) => ({ shape: [values.length], values }),
  Dense: ({ weights: [kernel, bias] }, input) => dense(input, kernel, bias),
};
const ACTIVATIONS = { linear: (output) => output, relu };

/** Return what each layer gives out for an image; the last are the logits. A layer is { kind,
 *  activation, weights, … }, with Keras' names. Raises RangeError for a layer that is not known. */
export const forward = (layers, image) => {
  let output = image;
  return layers.map((layer) => {
    const [compute, activate] = [KINDS[layer.kind], ACTIVATIONS[layer.activation ?? "linear"]];
    if (!compute || !activate) throw new RangeError(`no layer ${layer.kind}, ${layer.activation} here`);
    return (output = activate(compute(layer, output)));
  });
};

/** Return an image with a grey square around a pixel, as far as the square lies on the image. */
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
  let image, own, without, trial;

  const ask = (pixels) => {
    const outputs = forward(network, pixels);
    const logits = outputs.at(-1).values;
    return { outputs, logits, shares: softmax(logits), answer: logits.indexOf(Math.max(...logits)) };
  };
  const sure = ({ shares }, number) => `${classes[number]} ${shares[number].toFixed(2)}`;

  const canvas = picture("The picture. Arrow keys move the grey square.", 144);
  const truth = make("figcaption");
  const placesMap = picture("How certain the network stays with the square at each place", 144);
  const placesText = make("figcaption");
  const answers = answersTable(classes);
  const maps = make("div", { className: "explorer-maps" });
  const says = announcer();

  const show = () => {
    const { size, row, column } = state;
    const pixels = size ? cover(image, state) : image;
    const now = size ? ask(pixels) : without;
    draw(canvas, pixels);
    answers.show(now, without);
    showMaps(maps, now.outputs[state.layer], network[state.layer].name);
    if (!size) return says.say(`Without a square: ${sure(now, now.answer)}.`);
    const before = without.shares[now.answer].toFixed(2);
    const other = now.answer === without.answer ? "" : ` Without it, the answer is ${sure(without, without.answer)}.`;
    says.say(`With the square at row ${row + 1}, column ${column + 1}: ${sure(now, now.answer)} (${before} without).${other}`);
  };
  const forget = () => {
    trial = undefined; // one that is under way stops
    draw(placesMap, zeros([1, 1, 1]));
    placesMap.classList.add("empty");
    placesText.textContent = "every place: not tried yet";
  };
  const use = (pixels, text) => {
    [image, without] = [pixels, ask(pixels)];
    truth.textContent = text;
    forget();
    show();
  };

  const tryAll = async () => {
    if (!state.size) return says.say("There is no square. Give it a size first.");
    const mine = (trial = {});
    const side = Math.ceil(image.shape[0] / STEP);
    const found = zeros([side, side, 1]);
    let changed = 0;
    for (let y = 0; y < side; y++) {
      placesText.textContent = `trying row ${y + 1} of ${side}`;
      await new Promise(requestAnimationFrame); // the page stays alive
      if (trial !== mine) return;
      for (let x = 0; x < side; x++) {
        const { shares, answer } = ask(cover(image, { row: y * STEP, column: x * STEP, size: state.size }));
        found.values[y * side + x] = shares[without.answer];
        if (answer !== without.answer) changed++;
      }
    }
    draw(placesMap, found, [0, 1]);
    placesMap.classList.remove("empty");
    const name = classes[without.answer];
    placesText.textContent = `certainty of ${name} for each place of the square: white is 1, black 0`;
    const lowest = found.values.indexOf(extent(found.values)[0]);
    go(Math.floor(lowest / side) * STEP, (lowest % side) * STEP);
    says.say(`${says.textContent} Of ${side ** 2} places, ${name} loses most here. At ${changed}, the answer changes.`);
  };

  const go = walk(canvas, (row, column) => {
    Object.assign(state, { row, column });
    if (image) show();
  });
  const pictures = Array.from(labels.values, (label, i) => [i, `${i + 1}: ${classes[label]}`]);
  const chooser = choice("Picture", pictures, (value) => {
    if (value === "own") return use(own, "your own picture");
    use(normalised(part(images, Number(value))), `true class: ${classes[labels.values[value]]}`);
  });
  const upload = ownImage((pixels) => {
    if (!own) chooser.control.append(make("option", { value: "own" }, "your own"));
    own = pixels;
    chooser.control.value = "own";
    chooser.control.onchange();
  });
  panel.append(
    chooser,
    slider("Side of the square", { min: 0, max: 16, value: state.size, say: (n) => (n ? `${n} pixels` : "none") }, (size) => {
      state.size = size;
      forget();
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
        says,
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

/** Make the table of answers: `show(now, without)` writes both, the largest of now in bold. */
const answersTable = (classes) => {
  const heads = ["class", "logit", "certainty", "without square"];
  const rows = classes.map((name) => {
    const cells = heads.slice(1).map(() => make("td"));
    return Object.assign(make("tr", {}, make("th", { scope: "row" }, name), ...cells), { places: cells });
  });
  const table = make(
    "table",
    { className: "explorer-table" },
    make("caption", {}, "What the last layer says"),
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows),
  );
  const show = (now, without) =>
    rows.forEach((row, number) => {
      const texts = [now.logits[number], now.shares[number], without.shares[number]];
      row.places.forEach((cell, i) => (cell.textContent = texts[i].toFixed(2).replace("-", "−")));
      row.places.slice(1).forEach((cell, i) => cell.style.setProperty("--share", texts[i + 1]));
      row.classList.toggle("answer", number === now.answer);
    });
  return Object.assign(table, { show });
};

/** Show each map of a layer, in its own greys, as the figure on the page has them. */
const showMaps = (place, output, name) => {
  const count = output.shape[2];
  while (place.children.length > count) place.lastChild.remove();
  while (place.children.length < count) place.append(picture("", 0));
  [...place.children].forEach((canvas, number) => {
    const map = oneMap(output, number);
    const [low, high] = extent(map.values);
    draw(canvas, map, [low, high]);
    canvas.title = `map ${number + 1} of ${name}: ${low.toFixed(2)} to ${high.toFixed(2)}`;
    canvas.setAttribute("aria-label", canvas.title);
  });
};
