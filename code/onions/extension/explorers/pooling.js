// <onion-pooling>: shows a feature map before and after pooling, and how much both change when the
// image shifts.

import { conv2d, pool2d, relu } from "./layers.js";
import {
  announcer,
  choice,
  define,
  draw,
  extent,
  make,
  normalised,
  oneMap,
  part,
  picture,
  slider,
  walk,
} from "./shared.js";

/** Return the mean change of maps as a share of their mean, like relative_change on the page. */
export const relativeChange = (before, after) => {
  let [change, sum] = [0, 0];
  for (let i = 0; i < before.values.length; i++) {
    change += Math.abs(after.values[i] - before.values[i]);
    sum += before.values[i];
  }
  return change / sum;
};

/** Return the columns from `from` to `to` − 1 of an image [height, width, channels]. */
export const columns = ({ shape: [height, width, channels], values }, from, to) => ({
  shape: [height, to - from, channels],
  values: Float32Array.from({ length: height * (to - from) * channels }, (_, i) => {
    const [row, rest] = [Math.floor(i / ((to - from) * channels)), i % ((to - from) * channels)];
    return values[row * width * channels + from * channels + rest];
  }),
});

define("pooling", (panel, { images, labels, kernel, bias }) => {
  const state = { image: 0, map: 0, kind: "max", size: 2, stride: 2, row: 0, column: 0 };
  let maps, pooled;

  const pictures = Object.fromEntries(
    [
      ["image", "The image"],
      ["map", "A feature map of it"],
      ["pooled", "The map after pooling. Arrow keys move the window."],
    ].map(([name, label]) => [name, picture(label)]),
  );
  const status = announcer();
  const change = make("p");

  const recompute = () => {
    const image = normalised(part(images, state.image));
    const width = image.shape[1];
    const options = { size: state.size, stride: state.stride };
    const mapsOf = (pixels) => relu(conv2d(pixels, kernel, bias));
    maps = mapsOf(image);
    pooled = pool2d(maps, state.kind, options);
    draw(pictures.image, image);
    const [before, after] = [mapsOf(columns(image, 1, width)), mapsOf(columns(image, 0, width - 1))];
    const shares = [
      relativeChange(before, after),
      relativeChange(pool2d(before, state.kind, options), pool2d(after, state.kind, options)),
    ].map((share) => share.toFixed(2));
    change.textContent =
      `Shift the image by one pixel, and all ${kernel.shape[3]} maps change by ${shares[0]} of their mean, ` +
      `the pooled ones by ${shares[1]}.`;
    go(Math.min(state.row, pooled.shape[0] - 1), Math.min(state.column, pooled.shape[1] - 1));
  };

  const show = (row, column) => {
    Object.assign(state, { row, column });
    const [before, after] = [oneMap(maps, state.map), oneMap(pooled, state.map)];
    const range = extent(before.values); // one scale of greys for both maps
    draw(pictures.map, before, range);
    draw(pictures.pooled, after, range);
    highlight(pictures.map, row * state.stride, column * state.stride, state.size);
    highlight(pictures.pooled, row, column, 1);
    const width = before.shape[1];
    const window = Array.from({ length: state.size ** 2 }, (_, i) => {
      const [y, x] = [Math.floor(i / state.size), i % state.size];
      return before.values[(row * state.stride + y) * width + column * state.stride + x].toFixed(2);
    });
    const value = after.values[row * after.shape[1] + column].toFixed(2);
    status.say(`Row ${row + 1}, column ${column + 1}: the ${state.kind} of ${window.join(", ")} is ${value}.`);
  };
  const go = walk(pictures.pooled, (row, column) => pooled && show(row, column));

  const set = (name) => (value) => {
    state[name] = typeof state[name] === "number" ? Number(value) : value;
    recompute();
  };
  const size = slider("Size", { min: 2, max: 4, value: 2, format: (n) => `${n} × ${n}` }, (value) => {
    state.size = value;
    recompute();
  });
  panel.append(
    choice("Image", labels.map((label, i) => [i, `${i + 1}: ${label}`]), set("image")),
    choice("Feature map", Array.from({ length: kernel.shape[3] }, (_, i) => [i, `${i + 1}`]), set("map")),
    choice("Kind", [["max", "largest (max)"], ["mean", "mean"]], set("kind")),
    size,
    slider("Stride", { min: 1, max: 4, value: 2 }, set("stride")),
    make(
      "div",
      { className: "explorer-row" },
      ...Object.entries({ image: "image", map: "feature map", pooled: "pooled" }).map(([name, text]) =>
        make("figure", {}, pictures[name], make("figcaption", {}, text)),
      ),
    ),
    status,
    change,
  );
  recompute();
});

/** Highlight a square of cells on a canvas with one pixel per cell. */
const highlight = (canvas, row, column, size) => {
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(255 120 0 / 60%)";
  context.fillRect(column, row, size, size);
};
