// What a training shows besides its curves: the first layer's kernels, and the confusion matrix.

import { extent, make } from "./shared.js";

const COLUMNS = 8; // kernels in a row

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
export const kernelPicture = () => {
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
export const confusionTable = (classes) => {
  const cells = classes.map(() => classes.map(() => make("td")));
  const short = (name) => make("abbr", { title: name }, name.slice(0, 3));
  const head = make("tr", {}, make("td"), ...classes.map((name) => make("th", { scope: "col" }, short(name))));
  const rows = classes.map((name, i) => make("tr", {}, make("th", { scope: "row" }, short(name)), ...cells[i]));
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
