// What a training shows besides its curves: the first layer's kernels, and the confusion matrix.

import { extent, make } from "./shared.js";

const COLUMNS = 8; // kernels in a row

/** Create a canvas for kernels. `show(kernels)` draws weights [height, width, channels, kernels] as tiles:
 *  of colours if there are 3 channels, otherwise of greys for the first channel. Grey is zero. */
export const kernelPicture = () => {
  const canvas = make("canvas", { className: "explorer-tiles", role: "img", width: 31, height: 15 });
  canvas.setAttribute("aria-label", "The kernels of the first layer");
  const show = ({ shape: [height, width, channels, count], values }) => {
    const largest = Math.max(...extent(values).map(Math.abs)) || 1;
    const rows = Math.ceil(count / COLUMNS);
    const image = new ImageData(COLUMNS * (width + 1) - 1, rows * (height + 1) - 1);
    for (let kernel = 0; kernel < count; kernel++) {
      for (let place = 0; place < height * width; place++) {
        const y = Math.floor(kernel / COLUMNS) * (height + 1) + Math.floor(place / width);
        const x = (kernel % COLUMNS) * (width + 1) + (place % width);
        for (let colour = 0; colour < 3; colour++) {
          const channel = channels === 3 ? colour : 0;
          const weight = values[(place * channels + channel) * count + kernel];
          image.data[(y * image.width + x) * 4 + colour] = 127.5 + (127.5 * weight) / largest;
        }
        image.data[(y * image.width + x) * 4 + 3] = 255;
      }
    }
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
