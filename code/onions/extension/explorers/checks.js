// Whether the page's claims hold in a reader's run.

import { make } from "./shared.js";

/** Return the value of a formula such as "loss[5] - loss[10]" in a history of Keras' form: the loss after
 *  epoch 5 minus that after epoch 10. */
export const valueOf = (formula, history) => {
  const [first, ...others] = formula.split(" - ").map((term) => {
    const [, metric, epoch] = term.match(/^(\w+)\[(\d+)\]$/);
    return history[metric][epoch - 1];
  });
  return others.reduce((value, other) => value - other, first);
};

/** Return { holds, sides } for each of a training's claims. A claim compares `left` with `factor` times
 *  `right`: measures of the run or, where it does not compute them, of this book's run. */
export const checkClaims = ({ claims, measures, constants }, history) =>
  claims.map(({ left, relation, factor, right }) => {
    const value = (name) => (name in measures ? valueOf(measures[name], history) : constants[name]);
    const sides = [value(left), factor * value(right)];
    return { holds: relation === "<" ? sides[0] < sides[1] : sides[0] > sides[1], sides };
  });

/** Create the list of claims; `show(results)` fills in the results of `checkClaims`. */
export const claimList = (claims) => {
  const list = make("ul");
  const box = make("div", { className: "train-claims", hidden: true }, make("p", {}, make("b", {}, "What the page says, checked in your run")), list);
  const show = (results) => {
    box.hidden = false;
    const items = results.map(({ holds, sides }, i) => {
      const { words, held, left, factor, right, others } = claims[i];
      const origin = (name) => (others.includes(name) ? "this book's " : "");
      const times = factor === 1 ? "" : `${factor} × `;
      const texts = [`${origin(left)}${sides[0].toFixed(3)}`, `${times}${origin(right)}${(sides[1] / factor).toFixed(3)}`];
      const mark = make("strong", {}, holds ? "✓ held" : "✗ did not hold");
      const item = make("li", {}, mark, ` ${words} (${texts.join(" against ")}) `, make("span", {}, held));
      item.dataset.holds = holds;
      return item;
    });
    list.replaceChildren(...items);
  };
  const hide = () => (box.hidden = true);
  return Object.assign(box, { show, hide });
};
