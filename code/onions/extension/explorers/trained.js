// What a training shows: its curves, the first layer's kernels, and the confusion matrix.

import { curves } from "./plots.js";
import { extent, make } from "./shared.js";

const COLUMNS = 8; // kernels in a row
const METRICS = ["accuracy", "loss"];
const HIGHEST_LOSS = 3.5; // in the plot, as on the page about curves

/** Create the plots of accuracy and loss. `show(history, before, epochs)` draws the reader's run, and the one
 *  before it. */
export const curvePlots = ({ built, bands, usual, chance }) => {
  const plots = METRICS.map(() => make("div"));
  const show = (history, before, epochs) =>
    METRICS.forEach((metric, i) => {
      const runs = [[built, "run-0"], [before, "run-past"], [history, "run-1"]];
      const lines = runs.flatMap(([values, kind]) => [
        { values: values?.[metric] ?? [], kind },
        { values: values?.[`val_${metric}`] ?? [], kind: `${kind} validation` },
      ]);
      const band = bands[`val_${metric}`] ?? [];
      const all = [...lines.flatMap(({ values }) => values), ...band.flat()].filter(Number.isFinite);
      const range = metric === "accuracy" ? [0, 1] : [0, Math.min(Math.max(...all, -Math.log(chance)), HIGHEST_LOSS)];
      const level = metric === "accuracy" ? chance : -Math.log(chance);
      const most = Math.max(usual, epochs, ...lines.map(({ values }) => values.length));
      const last = history[`val_${metric}`]?.at(-1);
      const text = `The ${metric} by epoch. ${last === undefined ? "You have not trained yet." : `Yours ends at ${last.toFixed(2)} in validation.`}`;
      plots[i].replaceChildren(curves(lines, { epochs: most, range, name: text, band, level }));
    });
  const grey = Object.keys(bands).length ? ". Grey: where 99 of 100 validation curves of this book's network are expected" : "";
  const legend = `Solid: training; dashed: validation. ${built ? "Blue: this book's run; orange: yours" : "Orange: your run"}; pale: your previous run. Dotted: a network that knows nothing.`;
  const row = make("div", { className: "explorer-row" }, ...plots.map((plot, i) => captioned(plot, `${METRICS[i]} by epoch${grey}`)));
  return { elements: [row, make("p", {}, legend)], show };
};

/** Create the results of a training, hidden until `show({ kernels, confusion })`. */
export const resultsView = (classes, noun) => {
  const picture = kernelPicture();
  const confusion = confusionTable(classes);
  const figure = captioned(picture.canvas, "the kernels of your first layer", "train-kernels");
  const text = `your validation ${noun}: a row for each class, a column for each answer`;
  const view = make("div", { className: "explorer-row", hidden: true }, figure, captioned(confusion, text));
  const show = ({ kernels, confusion: counts }) => {
    view.hidden = false;
    const [height, , , several] = kernels.shape;
    figure.hidden = !several || height === 1; // a dense layer has none, and a row shows little
    if (!figure.hidden) picture.show(kernels);
    confusion.show(counts);
  };
  return Object.assign(view, { show });
};

const captioned = (content, text, className = "explorer-wide") =>
  make("figure", { className }, content, make("figcaption", {}, text));

/** Return kernels [kernels, height, width, 3] of bytes as an ImageData of tiles, one pixel apart. */
export const tiles = ({ shape: [count, height, width], values }) => {
  const rows = Math.ceil(count / COLUMNS);
  const image = new ImageData(COLUMNS * (width + 1) - 1, rows * (height + 1) - 1);
  for (let kernel = 0; kernel < count; kernel++) {
    for (let pixel = 0; pixel < height * width; pixel++) {
      const y = Math.floor(kernel / COLUMNS) * (height + 1) + Math.floor(pixel / width);
      const x = (kernel % COLUMNS) * (width + 1) + (pixel % width);
      for (let colour = 0; colour < 3; colour++) {
        image.data[(y * image.width + x) * 4 + colour] = values[(kernel * height * width + pixel) * 3 + colour];
      }
      image.data[(y * image.width + x) * 4 + 3] = 255;
    }
  }
  return image;
};

/** Create a canvas for kernels. `show(kernels)` draws weights [height, width, channels, kernels] as tiles:
 *  of colours if there are 3 channels, otherwise of greys for the first channel. Grey is zero. */
const kernelPicture = () => {
  const canvas = make("canvas", { className: "explorer-tiles", role: "img", width: 31, height: 15 });
  canvas.setAttribute("aria-label", "The kernels of the first layer");
  const show = ({ shape: [height, width, channels, count], values }) => {
    const largest = Math.max(...extent(values).map(Math.abs)) || 1;
    const bytes = Uint8ClampedArray.from({ length: count * height * width * 3 }, (_, i) => {
      const [kernel, place, colour] = [Math.floor(i / (3 * height * width)), Math.floor(i / 3) % (height * width), i % 3];
      const weight = values[(place * channels + (channels === 3 ? colour : 0)) * count + kernel];
      return 127.5 + (127.5 * weight) / largest;
    });
    const image = tiles({ shape: [count, height, width], values: bytes });
    Object.assign(canvas, { width: image.width, height: image.height });
    canvas.getContext("2d").putImageData(image, 0, 0);
  };
  return { canvas, show };
};

/** Create the confusion matrix of classes. `show(counts)` gets a row for each class. */
const confusionTable = (classes) => {
  const cells = classes.map(() => classes.map(() => make("td")));
  const short = (name) => (classes.length > 5 ? make("abbr", { title: name }, name.slice(0, 3)) : name);
  const head = make("tr", {}, make("td"), ...classes.map((name) => make("th", { scope: "col" }, short(name))));
  const rows = classes.map((name, i) => make("tr", {}, make("th", { scope: "row" }, name), ...cells[i]));
  const table = make("table", { className: "train-confusion" }, make("thead", {}, head), make("tbody", {}, ...rows));
  const show = (counts) =>
    counts.forEach((row, i) => {
      const total = row.reduce((a, b) => a + b) || 1;
      row.forEach((number, j) => {
        cells[i][j].textContent = number;
        cells[i][j].style.setProperty("--share", number / total);
      });
    });
  show(classes.map(() => classes.map(() => 0)));
  return Object.assign(make("div", { className: "explorer-scroll", tabIndex: 0, role: "group", "aria-label": "Confusion matrix" }, table), { show });
};
