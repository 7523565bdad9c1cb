// Numbers as text, and the table of the products behind one value.

import { make } from "./shared.js";
import { total } from "./sums.js";

export const COLOURS = ["Red", "Green", "Blue"]; // the channels of an image

/** Format a number with two decimals and a true minus sign, but without a sign for zero. */
export const decimal = (value) => value.toFixed(2).replace(/^-(?=0\.00$)/, "").replace("-", "−");

/** Format a number like `decimal`, but without decimals if it is whole. */
const short = (value) => decimal(value).replace(".00", "");

/** Create the table of one channel's products (see `products` in sums.js), `columns` in a row, with
 *  their factors where there is room for them. */
export const productTable = (title, list, columns = 3) => {
  const cells = list.map(({ pixel, weight, product, outside }) => {
    const factors = make("span", {}, `${outside ? "0" : decimal(pixel)} × ${short(weight)}`, make("br"), "= ");
    return make("td", { className: outside ? "outside" : "" }, ...(columns > 3 ? [] : [factors]), decimal(product));
  });
  const rows = Array.from({ length: list.length / columns }, (_, row) =>
    make("tr", {}, ...cells.slice(row * columns, (row + 1) * columns)),
  );
  const caption = make("caption", {}, `${title}; sum ${decimal(total(list))}`);
  return make("table", { className: "explorer-products" }, caption, make("tbody", {}, ...rows));
};

/** Create the table of a block of 2 × 2 values, with the largest in bold. */
export const blockTable = (block) => {
  const largest = block.indexOf(Math.max(...block)); // the first of them if several are equal
  const cells = block.map((value, i) => make("td", {}, i === largest ? make("strong", {}, decimal(value)) : decimal(value)));
  const rows = [cells.slice(0, 2), cells.slice(2)].map((row) => make("tr", {}, ...row));
  const caption = make("caption", {}, "The block; its largest value in bold");
  return make("table", { className: "explorer-products" }, caption, make("tbody", {}, ...rows));
};
