// <onion-pooling>: a feature map before and after pooling, and how much both change when the image
// shifts.

import { conv2d, pool2d, relu } from "./layers.js";
import { holder, largePicture } from "./mosaic.js";
import { announcer, choice, define, extent, imageChoice, make, normalised, oneMap, part, slider, tiles } from "./shared.js";
import { decimal } from "./tables.js";

const FARTHEST = 4; // pixels of the largest shift

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
  const state = { image: normalised(part(images, 0)), map: 0, kind: "max", size: 2, stride: 2, shift: 1, row: 4, column: 4 };
  let maps, pooled; // each [without the shift, with the shift]

  const counts = holder(panel);
  const choose = (row, column, how) => {
    if (!counts(how, row === state.row && column === state.column)) return;
    const [height, width] = pooled[0].shape;
    state.row = Math.max(0, Math.min(row, height - 1));
    state.column = Math.max(0, Math.min(column, width - 1));
    show();
  };
  const canvasOf = (text, perCell) => {
    const picture = largePicture({
      onpoint: ({ row, column }, how) => choose(Math.floor(row / perCell()), Math.floor(column / perCell()), how),
      onstep: ([down, right]) => choose(state.row + down, state.column + right, "key"),
    });
    picture.label(`${text[0].toUpperCase()}${text.slice(1)}. Arrow keys move the block.`);
    picture.caption.textContent = text;
    return picture;
  };
  const stride = () => state.stride;
  const pictures = {
    map: canvasOf("a feature map", stride),
    pooled: canvasOf("the map after pooling", () => 1),
    change: canvasOf("what the shift changes in the map", stride),
    pooledChange: canvasOf("what it changes in the pooled map, on the same scale", () => 1),
  };
  const status = announcer();
  const changed = make("p");

  const recompute = () => {
    const { image } = state;
    const width = image.shape[1] - FARTHEST;
    maps = [0, state.shift].map((left) => relu(conv2d(columns(image, left, left + width), kernel, bias)));
    pooled = maps.map((before) => pool2d(before, state.kind, { size: state.size, stride: state.stride }));
    mapTiles.show(Array.from({ length: kernel.shape[3] }, (_, i) => oneMap(maps[0], i)), [0, extent(maps[0].values)[1]]);
    choose(state.row, state.column, "drag");
  };

  const show = () => {
    const { row, column, size, kind } = state;
    const [mapPair, pooledPair] = [maps, pooled].map((pair) => pair.map((all) => oneMap(all, state.map)));
    const changes = [mapPair, pooledPair].map((pair) => difference(...pair));
    const [change, pooledChange] = changes.map(({ values }) => (values.reduce((a, b) => a + b) / values.length).toFixed(3));
    const [share, pooledShare] = [maps, pooled].map((pair) => relativeChange(...pair).toFixed(3));
    const left = change > 0 ? `${Math.round((100 * pooledChange) / change)} % of it` : "nothing";
    changed.textContent =
      `The shift changes this map by ${change} on average, and the pooled map by ${pooledChange}: ${left} is left. ` +
      `All ${kernel.shape[3]} maps together change by ${share} of their mean, and the pooled ones by ${pooledShare}.`;
    const range = [0, extent(mapPair[0].values)[1]]; // one scale of greys for the maps,
    const changeRange = [0, extent(changes[0].values)[1] || 1]; // and one for their changes
    const block = { top: row * state.stride, left: column * state.stride, height: size, width: size, map: 0 };
    const cell = { top: row, left: column, height: 1, width: 1, map: 0 };
    for (const [name, tensor, field] of [
      ["map", mapPair[0], block],
      ["pooled", pooledPair[0], cell],
      ["change", changes[0], block],
      ["pooledChange", changes[1], cell],
    ]) {
      pictures[name].show([tensor], name.toLowerCase().includes("change") ? changeRange : range);
      pictures[name].mark(field);
    }
    const across = mapPair[0].shape[1];
    const values = Array.from({ length: size ** 2 }, (_, i) => {
      const [y, x] = [block.top + Math.floor(i / size), block.left + (i % size)];
      return decimal(mapPair[0].values[y * across + x]);
    });
    const [value, shifted] = pooledPair.map((map) => decimal(map.values[row * map.shape[1] + column]));
    const after = state.shift ? ` After the shift, this block has ${shifted}.` : "";
    status.say(`Row ${row + 1}, column ${column + 1}: the ${kind} of ${values.join(", ")} is ${value}.${after}`);
  };

  const set = (name) => (value) => {
    state[name] = value;
    recompute();
  };
  const mapTiles = tiles("Feature map", Array.from({ length: kernel.shape[3] }, (_, i) => `${i + 1}`), (map) => {
    state.map = map;
    show();
  });
  const pixels = (count) => (count === 1 ? "1 pixel" : `${count} pixels`);
  const strideSlider = slider("Stride", { min: 1, max: 4, value: 2 }, set("stride"));
  panel.append(
    make("p", {}, "Point at a picture, or tap it: the block and the value that it becomes are framed in all four. Click to hold them, and click there again to let go."),
    make("div", { className: "explorer-row explorer-large" }, ...Object.values(pictures).map(({ figure }) => figure)),
    status,
    changed,
    mapTiles,
    imageChoice(images, labels, set("image")),
    slider("Shift the image by", { min: 0, max: FARTHEST, value: state.shift, format: pixels }, set("shift")),
    choice("Kind", [["max", "largest (max)"], ["mean", "mean"]], set("kind")),
    slider("Size", { min: 2, max: 4, value: 2, format: (n) => `${n} × ${n}` }, (size) => {
      state.size = size;
      strideSlider.set(size); // as in Keras, unless a reader sets it
    }),
    strideSlider,
  );
  recompute();
});

/** Return the absolute difference of two maps. */
const difference = ({ shape, values }, other) => ({ shape, values: values.map((value, i) => Math.abs(other.values[i] - value)) });
