// <onion-convolution>: slides a kernel over an image, and shows the products and their sum.

import { conv2d, places, relu } from "./layers.js";
import {
  announcer,
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
  tick,
  walk,
} from "./shared.js";

const SIDE = 3; // of every kernel, in pixels
const LIMIT = 99; // largest absolute weight that a reader can enter
const CELL = 8; // side of an image pixel, in canvas pixels

/** The handmade kernels: nine weights each, row by row. */
export const BY_HAND = {
  "horizontal edges": [-1, -1, -1, 0, 0, 0, 1, 1, 1],
  "vertical edges": [-1, 0, 1, -1, 0, 1, -1, 0, 1],
  blur: Array(9).fill(1 / 9),
  sharpen: [0, -1, 0, -1, 5, -1, 0, -1, 0],
};
const YOURS = "yours";

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

/** Return the products that add up to the output at a row and column, without the bias: for each
 *  channel, nine { pixel, weight, product, outside }. `outside` is true for padding. */
export const products = (image, kernel, row, column, { stride, padding }) => {
  const [height, width, channels] = image.shape;
  const [top] = margins(height, { stride, padding });
  const [left] = margins(width, { stride, padding });
  return Array.from({ length: channels }, (_, channel) =>
    Array.from({ length: SIDE ** 2 }, (_, i) => {
      const y = row * stride + Math.floor(i / SIDE) - top;
      const x = column * stride + (i % SIDE) - left;
      const outside = y < 0 || y >= height || x < 0 || x >= width;
      const pixel = outside ? 0 : image.values[(y * width + x) * channels + channel];
      const weight = kernel.values[i * channels + channel];
      return { pixel, weight, product: pixel * weight, outside };
    }),
  );
};

define("convolution", (panel, { images, labels, kernels, biases }) => {
  const pictures = labels.map((_, i) => normalised(part(images, i)));
  const options = { stride: 1, padding: "valid" };
  const state = { image: 0, kernel: "horizontal edges", cut: false, row: 14, column: 14 };
  const typed = [...BY_HAND["horizontal edges"]];
  let image, kernel, bias, output;

  const input = picture("The image, with a frame around the pixels that the kernel lies on");
  const map = picture("The output. Arrow keys move the kernel.");
  const inputCaption = make("figcaption");
  const mapCaption = make("figcaption");
  const tables = make("div", { className: "explorer-row" });
  const status = announcer();
  let pixels; // a canvas with the enlarged image and its padding

  const recompute = () => {
    const learned = Number(state.kernel); // index of a learned kernel; NaN for a handmade one
    const handmade = Number.isNaN(learned);
    image = handmade ? grey(pictures[state.image]) : pictures[state.image];
    kernel = handmade
      ? { shape: [SIDE, SIDE, 1, 1], values: Float32Array.from(typed) }
      : { shape: [...kernels.shape.slice(0, 3), 1], values: oneMap(flat(kernels), learned).values };
    bias = handmade ? null : { shape: [1], values: biases.values.subarray(learned, learned + 1) };
    output = conv2d(image, kernel, bias, options);
    grid.hidden = !handmade;
    pixels = padded(image, options);
    inputCaption.textContent =
      (handmade ? "the image in grey" : "the image") +
      (options.padding === "same" ? "; black around it: zeros" : "");
    go(state.row, state.column); // moves the kernel back inside if the output is now smaller
  };

  const show = (row, column) => {
    Object.assign(state, { row, column });
    const shown = state.cut ? relu(output) : output;
    const [low, high] = extent(shown.values);
    const largest = Math.max(-low, high) || 1;
    draw(map, shown, [low < 0 ? -largest : 0, largest]);
    mark(map, row, column);
    mapCaption.textContent =
      low < 0 ? "the output: grey is zero, white positive, black negative" : "the output: black is zero";
    frame(input, pixels, row * options.stride, column * options.stride);
    const channels = products(image, kernel, row, column, options);
    tables.replaceChildren(...channels.map((nine, channel) => table(nine, channel, channels.length)));
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
  const go = walk(map, (row, column) => output && show(row, column));

  const set = (settings, name) => (value) => {
    settings[name] = value;
    recompute();
  };
  const chooser = choice("Image", labels.map((label, i) => [i, `${i + 1}: ${label}`]), set(state, "image"));
  const upload = ownImage((tensor) => {
    if (!pictures[labels.length]) chooser.control.append(new Option("your own", labels.length));
    pictures[labels.length] = tensor;
    chooser.control.value = state.image = labels.length;
    recompute();
  });

  const cells = typed.map((weight, i) => {
    const name = `Kernel, row ${Math.floor(i / SIDE) + 1}, column ${(i % SIDE) + 1}`;
    const cell = make("input", { type: "number", step: "any", min: -LIMIT, max: LIMIT, "aria-label": name });
    cell.onchange = () => fill(); // shows the weight in use, which may differ from the input
    cell.oninput = () => {
      typed[i] = Math.max(-LIMIT, Math.min(cell.valueAsNumber || 0, LIMIT)); // an empty cell is 0
      kernelChooser.control.value = state.kernel = YOURS;
      recompute();
    };
    return cell;
  });
  const fill = () => cells.forEach((cell, i) => (cell.value = Number(typed[i].toFixed(3))));
  const grid = make("fieldset", { className: "explorer-kernel" }, make("legend", {}, "Kernel"), ...cells);
  const kernelChooser = choice(
    "Kernel",
    [
      ...Object.keys(BY_HAND),
      [YOURS, "your own numbers"],
      ...Array.from({ length: kernels.shape[3] }, (_, i) => [i, `learned, number ${i + 1}`]),
    ],
    (value) => {
      if (value in BY_HAND) typed.splice(0, 9, ...BY_HAND[value]);
      fill();
      state.kernel = value;
      recompute();
    },
  );
  fill();
  panel.append(
    make(
      "div",
      { className: "explorer-row" },
      make(
        "div",
        { className: "explorer-wide" },
        chooser,
        upload,
        kernelChooser,
        choice("Padding", [["valid", "valid (none)"], ["same", "same (zeros)"]], set(options, "padding")),
        slider("Stride", { min: 1, max: 3, value: 1 }, set(options, "stride")),
        tick("Cut off below zero (ReLU)", false, set(state, "cut")),
      ),
      grid,
    ),
    make(
      "div",
      { className: "explorer-row" },
      make("figure", { className: "explorer-half" }, input, inputCaption),
      make("figure", { className: "explorer-half" }, map, mapCaption),
      tables,
    ),
    status,
  );
  recompute();
});

/** Format a number with two decimals and a true minus sign, but without a sign for zero. */
const decimal = (value) => value.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−");

/** Format a number like `decimal`, but without decimals if it is whole. */
const short = (value) => decimal(value).replace(".00", "");

/** Reshape kernels [3, 3, channels, count] into maps [9, channels, count] for `oneMap`. */
const flat = ({ shape: [height, width, channels, count], values }) => ({
  shape: [height * width, channels, count],
  values,
});

/** Create the table of one channel's nine products. */
const table = (nine, channel, channels) => {
  const name = channels === 1 ? "Pixel × weight" : `${["Red", "Green", "Blue"][channel]}: pixel × weight`;
  const total = nine.reduce((sum, { product }) => sum + product, 0);
  const rows = [0, 1, 2].map((row) =>
    make(
      "tr",
      {},
      ...nine.slice(row * SIDE, (row + 1) * SIDE).map(({ pixel, weight, product, outside }) =>
        make(
          "td",
          { className: outside ? "outside" : "" },
          `${outside ? "0" : decimal(pixel)} × ${short(weight)}`,
          make("br"),
          `= ${decimal(product)}`,
        ),
      ),
    ),
  );
  return make(
    "table",
    { className: "explorer-products" },
    make("caption", {}, `${name}; sum ${decimal(total)}`),
    make("tbody", {}, ...rows),
  );
};

/** Return a canvas with the enlarged image and its zero padding in black. */
const padded = (image, options) => {
  const [height, width] = image.shape;
  const small = document.createElement("canvas");
  draw(small, image, [0, 1]);
  const [top, bottom] = margins(height, options);
  const [left, right] = margins(width, options);
  const large = make("canvas", {
    width: (left + width + right) * CELL,
    height: (top + height + bottom) * CELL,
  });
  const context = large.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.fillRect(0, 0, large.width, large.height);
  context.drawImage(small, left * CELL, top * CELL, width * CELL, height * CELL);
  return large;
};

/** Draw `pixels` with a frame around the window whose top left pixel is at `row` and `column`. */
const frame = (canvas, pixels, row, column) => {
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  const context = canvas.getContext("2d");
  context.drawImage(pixels, 0, 0);
  for (const [colour, width] of [
    ["white", 8],
    ["rgb(200 70 0)", 4],
  ]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.strokeRect(column * CELL, row * CELL, SIDE * CELL, SIDE * CELL);
  }
};

/** Mark a cell of a canvas with one pixel per cell. */
const mark = (canvas, row, column) => {
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(255 120 0)";
  context.fillRect(column, row, 1, 1);
};
