// A canvas with maps side by side, whose values the pointer and the arrow keys choose.

import { draw, make } from "./shared.js";

export const GAP = 4; // between two maps, in canvas pixels
const LARGE = 560; // side of a large picture, in canvas pixels
const SMALLEST = 8; // side of an outline, in canvas pixels
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const STROKES = [["white", 5], ["rgb(200 70 0)", 2.5]]; // colours and widths; the first is a halo

/** Return a function that says whether a choice counts. A click or a key holds it: then pointing counts
 *  no more, until a click on the same value (`again`) lets go. A drag counts, and holds nothing. The panel
 *  shows by its class that a choice is held. */
export const holder = (panel) => {
  let held = false;
  return (how, again) => {
    if (held && !how) return false;
    if (how === "click") held = !(held && again);
    if (how === "key") held = true;
    panel.classList.toggle("held", held);
    return true;
  };
};

/** Create a canvas for maps of `tile` canvas pixels, `columns` in a row. `onpoint({ row, column,
 *  map }, how)` is called when the pointer is over a value; `how` is "drag" or "click" if it is
 *  pressed. `onstep([down, right])` is called for an arrow key, `onpress()` for Enter and the space
 *  bar. Return { canvas, show, mark }. */
export const mosaic = (columns, tile, { onpoint, onstep, onpress = () => {} }) => {
  const canvas = make("canvas", { className: "explorer-mosaic", role: "application", tabIndex: 0 });
  const picture = make("canvas"); // the maps without outlines
  const context = canvas.getContext("2d");
  let maps = [];
  const corner = (map) => [(map % columns) * (tile + GAP), Math.floor(map / columns) * (tile + GAP)];

  /** Show maps [height, width, 1], or images [height, width, 3]; see `draw` for the range. */
  const show = (tensors, range) => {
    maps = tensors;
    const size = (count) => count * (tile + GAP) - GAP;
    const [width, height] = [size(columns), size(Math.ceil(maps.length / columns))];
    Object.assign(canvas, { width, height });
    Object.assign(picture, { width, height });
    const [to, small] = [picture.getContext("2d"), make("canvas")];
    to.imageSmoothingEnabled = false;
    maps.forEach((tensor, map) => {
      draw(small, tensor, range);
      to.drawImage(small, ...corner(map), tile, tile);
    });
    mark();
  };

  /** Outline { top, left, height, width } on one map, or on all if `map` is null; without a field,
   *  remove the outline. */
  const mark = (field) => {
    context.drawImage(picture, 0, 0);
    if (!field) return;
    for (const map of field.map === null ? maps.keys() : [field.map]) {
      const [[x, y], [rows, across]] = [corner(map), maps[map].shape];
      const [cellWidth, cellHeight] = [tile / across, tile / rows];
      const start = [x + field.left * cellWidth, y + field.top * cellHeight];
      const box = [...start, field.width * cellWidth, field.height * cellHeight];
      const margin = Math.max(0, (SMALLEST - Math.min(box[2], box[3])) / 2); // so that one sees it
      const frame = [box[0] - margin, box[1] - margin, box[2] + 2 * margin, box[3] + 2 * margin];
      const halo = field.map !== null || maps.length === 1; // on many maps it would cover too much
      for (const [strokeStyle, lineWidth] of halo ? STROKES : STROKES.slice(1)) {
        Object.assign(context, { strokeStyle, lineWidth });
        context.strokeRect(...frame);
      }
    }
  };

  const point = (event, how) => {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * canvas.width;
    const y = ((event.clientY - box.top) / box.height) * canvas.height;
    const [line, place] = [Math.floor(y / (tile + GAP)), Math.min(Math.floor(x / (tile + GAP)), columns - 1)];
    const map = Math.max(0, Math.min(line * columns + place, maps.length - 1));
    const [left, top] = corner(map);
    const [rows, across] = maps[map].shape;
    const within = (offset, count) => Math.max(0, Math.min(Math.floor((offset / tile) * count), count - 1));
    onpoint({ row: within(y - top, rows), column: within(x - left, across), map }, how);
  };
  canvas.addEventListener("pointermove", (event) => point(event, event.buttons & 1 ? "drag" : undefined));
  canvas.addEventListener("click", (event) => point(event, "click"));
  canvas.addEventListener("keydown", (event) => {
    const move = ARROWS[event.key];
    if (!move && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault(); // keeps the page from scrolling
    if (move) onstep(move);
    else onpress();
  });
  return { canvas, show, mark };
};

/** Create a figure with one large picture and a caption: `mosaic` with a single tile. Return { figure,
 *  caption, show, mark, label }; `label(text)` is what screen readers say. */
export const largePicture = (handlers) => {
  const { canvas, show, mark } = mosaic(1, LARGE, handlers);
  const caption = make("figcaption");
  const label = (text) => canvas.setAttribute("aria-label", text);
  return { figure: make("figure", {}, canvas, caption), caption, show, mark, label };
};
