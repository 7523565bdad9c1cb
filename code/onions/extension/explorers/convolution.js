// <onion-convolution>: slides a kernel over an image, and shows the products and their sum.

import { places, zeros } from "./formulas.js";
import { conv2d, relu } from "./layers.js";
import { holder, largePicture } from "./mosaic.js";
import { announcer, choice, define, extent, imageChoice, make, normalised, oneMap, part, slider, tick, tiles } from "./shared.js";
import { products } from "./sums.js";
import { COLOURS, decimal, productTable } from "./tables.js";

const SIDE = 3; // of every kernel, in pixels
const LIMIT = 99; // largest absolute weight that a reader can enter

/** The handmade kernels: nine weights each, row by row. */
export const BY_HAND = {
  "horizontal edges": [-1, -1, -1, 0, 0, 0, 1, 1, 1],
  "vertical edges": [-1, 0, 1, -1, 0, 1, -1, 0, 1],
  blur: Array(9).fill(1 / 9),
  sharpen: [0, -1, 0, -1, 5, -1, 0, -1, 0],
};
const HANDMADE = [...Object.keys(BY_HAND), "your own numbers"];

/** Return the mean of an image's channels, [height, width, 1]: handmade kernels use one channel. */
export const grey = ({ shape: [height, width, channels], values }) => ({
  shape: [height, width, 1],
  values: Float32Array.from({ length: height * width }, (_, pixel) => {
    const colours = values.subarray(pixel * channels, (pixel + 1) * channels);
    return colours.reduce((a, b) => a + b) / channels;
  }),
});

/** Return the padding along one side of an image: the numbers of zeros [before, after]. */
export const margins = (side, { stride, padding }) => {
  const [count, before] = places(side, SIDE, stride, padding);
  return [before, Math.max((count - 1) * stride + SIDE - side - before, 0)];
};

define("convolution", (panel, { images, labels, layers }) => {
  const [kernels, biases] = layers[0].weights;
  const learnedKernels = Array.from({ length: kernels.shape[3] }, (_, i) => learnedKernel(kernels, i));
  const options = { stride: 1, padding: "valid" };
  const state = { picture: normalised(part(images, 0)), kernel: 0, cut: false, row: 14, column: 14 };
  const typed = [...Object.values(BY_HAND)[0]];
  let image, kernel, bias, output;
  let range; // the lowest and highest output with any padding and stride: the scale of greys does not depend on them

  const counts = holder(panel);
  const choose = (row, column, how) => {
    if (!counts(how, row === state.row && column === state.column)) return;
    state.row = Math.max(0, Math.min(row, output.shape[0] - 1));
    state.column = Math.max(0, Math.min(column, output.shape[1] - 1));
    show();
  };
  const canvasOf = (name, placeOf) => {
    const onpoint = ({ row, column }, how) => choose(placeOf(row), placeOf(column), how);
    const onstep = ([down, right]) => choose(state.row + down, state.column + right, "key");
    const picture = largePicture({ onpoint, onstep });
    picture.label(`${name}. Arrow keys move the kernel.`);
    return picture;
  };
  const input = canvasOf("The image", (pixel) => Math.floor((pixel - 1) / options.stride)); // the kernel's centre
  const map = canvasOf("The output", (place) => place);
  const tables = make("div", { className: "explorer-row explorer-tables" });
  const status = announcer();

  const recompute = () => {
    const learned = state.kernel - HANDMADE.length; // index of a learned kernel if 0 or more
    const handmade = learned < 0;
    image = handmade ? grey(state.picture) : state.picture;
    kernel = handmade ? ownKernel(typed) : learnedKernels[learned];
    bias = handmade ? null : { shape: [1], values: biases.values.subarray(learned, learned + 1) };
    output = conv2d(image, kernel, bias, options);
    range = extent(conv2d(image, kernel, bias, { padding: "same" }).values);
    grid.style.visibility = handmade ? "" : "hidden"; // keeps its place
    kernelTiles.show([...Object.values(BY_HAND), typed].map(ownKernel).concat(learnedKernels).map(tinted));
    input.show([padded(image, options)], [0, 1]);
    const zeros = options.padding === "same" ? "; black around it: zeros" : "";
    input.caption.textContent = `${handmade ? "the image in grey" : "the image"}${zeros}`;
    choose(state.row, state.column, "drag"); // moves the kernel back inside if the output is now smaller
  };

  const show = () => {
    const { row, column } = state;
    const shown = state.cut ? relu(output) : output;
    const largest = Math.max(-range[0], range[1], 1); // 1 is the brightest pixel
    const low = state.cut ? 0 : range[0];
    map.show([shown], [low < 0 ? -largest : 0, largest]);
    map.mark({ top: row, left: column, height: 1, width: 1, map: 0 });
    const [height, width] = output.shape;
    const greys = low < 0 ? "grey is zero, white positive, black negative" : "black is zero";
    map.caption.textContent = `the output, ${height} × ${width}: ${greys}`;
    input.mark({ top: row * options.stride, left: column * options.stride, height: SIDE, width: SIDE, map: 0 });
    const channels = products(image, kernel, { row, column }, options);
    tables.replaceChildren(...channels.map((nine, i) => productTable(channels[1] ? COLOURS[i] : "Pixel × weight", nine)));
    status.say(sentence(channels));
  };

  const sentence = (channels) => {
    const value = output.values[state.row * output.shape[1] + state.column];
    const sum = value - (bias?.values[0] ?? 0);
    let text = `Row ${state.row + 1}, column ${state.column + 1}: the sum is ${decimal(sum)}.`;
    if (bias) text += ` With the bias of ${decimal(bias.values[0])} it is ${decimal(value)}.`;
    if (state.cut) text += ` After ReLU it is ${decimal(Math.max(value, 0))}.`;
    const outside = channels[0].filter((product) => product.outside).length;
    return outside ? `${text} ${outside} of the 9 places lie outside and count as zero.` : text;
  };

  const set = (settings, name) => (value) => {
    settings[name] = value;
    recompute();
  };
  /** Set the padding, and keep the kernel on its pixels. */
  const pad = (padding) => {
    const before = margins(image.shape[0], options)[0];
    options.padding = padding;
    const moved = Math.round((margins(image.shape[0], options)[0] - before) / options.stride);
    state.row = Math.max(0, state.row + moved);
    state.column = Math.max(0, state.column + moved);
    recompute();
  };
  const chooser = imageChoice(images, labels, set(state, "picture"));

  const cells = typed.map((weight, i) => {
    const name = `Kernel, row ${Math.floor(i / SIDE) + 1}, column ${(i % SIDE) + 1}`;
    const cell = make("input", { type: "number", step: "any", min: -LIMIT, max: LIMIT, "aria-label": name });
    cell.onchange = () => fill(); // shows the weight in use, which may differ from the input
    cell.oninput = () => {
      typed[i] = Math.max(-LIMIT, Math.min(cell.valueAsNumber || 0, LIMIT)); // an empty cell is 0
      state.kernel = HANDMADE.length - 1;
      kernelTiles.choose(state.kernel);
      recompute();
    };
    return cell;
  });
  const fill = () => cells.forEach((cell, i) => (cell.value = Number(typed[i].toFixed(3))));
  const grid = make("fieldset", { className: "explorer-kernel" }, make("legend", {}, "Its numbers"), ...cells);
  const learnedNames = learnedKernels.map((_, i) => `learned, number ${i + 1}`);
  const kernelTiles = tiles("Kernel", [...HANDMADE, ...learnedNames], (number) => {
    if (HANDMADE[number] in BY_HAND) typed.splice(0, SIDE ** 2, ...BY_HAND[HANDMADE[number]]);
    fill();
    state.kernel = number;
    recompute();
  });
  [["by hand", 0], ["learned", HANDMADE.length]].forEach(([name, first]) =>
    kernelTiles.querySelectorAll("label")[first].before(make("span", { className: "explorer-group" }, name)),
  );
  fill();
  panel.append(
    make("p", {}, "Point at the image or at the output, or tap it: the frames show which pixels make which value. Click to hold them, and click there again to let go."),
    make("div", { className: "explorer-row explorer-large" }, input.figure, map.figure),
    status,
    make(
      "div",
      { className: "explorer-row" },
      make(
        "div",
        { className: "explorer-wide" },
        chooser,
        choice("Padding", [["valid", "valid (none)"], ["same", "same (zeros)"]], pad),
        slider("Stride", { min: 1, max: 3, value: 1 }, set(options, "stride")),
        tick("Cut off below zero (ReLU)", false, set(state, "cut")),
        chooser.upload,
      ),
      grid,
    ),
    kernelTiles,
    tables,
  );
  recompute();
});

/** Return nine weights as a kernel [3, 3, 1, 1]. */
const ownKernel = (weights) => ({ shape: [SIDE, SIDE, 1, 1], values: Float32Array.from(weights) });

/** Return a kernel of a layer as [3, 3, channels, 1]. */
const learnedKernel = ({ shape: [height, width, channels, count], values }, number) => ({
  shape: [height, width, channels, 1],
  values: oneMap({ shape: [height * width, channels, count], values }, number).values,
});

/** Return a kernel as a tile [3, 3, 3] of colours, in which a weight of zero is grey. */
const tinted = ({ shape: [height, width, channels], values }) => {
  const largest = Math.max(...extent(values).map(Math.abs)) || 1;
  const colours = Float32Array.from({ length: height * width * 3 }, (_, i) => {
    const weight = channels === 3 ? values[i] : values[Math.floor(i / 3)];
    return 0.5 + weight / (2 * largest);
  });
  return { shape: [height, width, 3], values: colours };
};

/** Return an image with its zero padding. */
const padded = (image, options) => {
  const [height, width, channels] = image.shape;
  const [[top, bottom], [left, right]] = [margins(height, options), margins(width, options)];
  const large = zeros([top + height + bottom, left + width + right, channels]);
  for (let row = 0; row < height; row++) {
    const pixels = image.values.subarray(row * width * channels, (row + 1) * width * channels);
    large.values.set(pixels, ((row + top) * large.shape[1] + left) * channels);
  }
  return large;
};
