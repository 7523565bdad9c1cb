// Sentences on how a value of a network comes about.

import { softmax } from "./formulas.js";
import { blockOf } from "./sums.js";
import { COLOURS, decimal } from "./tables.js";

/** Return where a value is, how it comes about, and which part of the image it depends on: `field`.
 *  `totals` are the sums of its products for each input map. */
export const explain = ({ stages, names, classes }, number, cell, totals, field) => {
  const origin = originOf(stages, number, cell, totals);
  if (number === 0) return `${placeOf(stages, names, number, cell)}: ${origin}`;
  if (number < stages.length - 1) return `${placeOf(stages, names, number, cell)}: ${origin}${reachOf(stages, field)}`;
  const certainty = softmax(stages[number].output.values)[cell.map];
  return `Logit of ${classes[cell.map]}: ${origin} Softmax of all ten logits makes it ${decimal(certainty)}.`;
};

const placeOf = (stages, names, number, { row, column, map }) => {
  const [height, , maps] = stages[number].output.shape;
  const name = names[number][0].toUpperCase() + names[number].slice(1);
  if (height === 1) return `${name}, neuron ${map + 1} of ${maps}`;
  return `${name}${number ? `, map ${map + 1} of ${maps}` : ""}, row ${row + 1}, column ${column + 1}`;
};

const originOf = (stages, number, { row, column, map }, totals) => {
  const { kind, output, bias, activation, window } = stages[number];
  const [, width, maps] = output.shape;
  const start = (row * width + column) * maps;
  const value = decimal(output.values[start + map]);
  if (kind === "image") {
    return `${COLOURS.map((name, i) => `${name.toLowerCase()} ${decimal(output.values[start + i])}`).join(", ")}.`;
  }
  if (kind === "MaxPooling2D") {
    const block = blockOf(stages, number, { row, column, map }).map(decimal);
    return `the largest of ${block.join(", ")} is ${value}.`;
  }
  const sum = totals.reduce((a, b) => a + b, 0);
  const count = totals.length * window[0] * window[1];
  const total = `with the bias ${decimal(bias.values[map])} that is ${decimal(sum + bias.values[map])}.`;
  const relu = activation === "relu" ? ` ReLU makes it ${value}.` : "";
  return `${count} products add up to ${decimal(sum)}; ${total}${relu}`;
};

const reachOf = (stages, { top, left, height, width }) => {
  const [rows, columns] = stages[0].output.shape;
  if (height === rows && width === columns) return " It depends on the whole image.";
  const [rowsText, columnsText] = [`${top + 1}–${top + height}`, `${left + 1}–${left + width}`];
  return ` It depends on ${height} × ${width} pixels: rows ${rowsText}, columns ${columnsText}.`;
};
