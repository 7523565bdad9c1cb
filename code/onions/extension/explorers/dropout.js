// <onion-dropout>: the output of a dropout layer, step by step, and its mean over all steps.

import { announcer, button, choice, define, make, slider } from "./shared.js";
import { bars } from "./plots.js";
import { randomFrom } from "./random.js";

const MAX_RATE = 0.5;

/** Set each value to zero with probability `rate`, and divide the others by 1 − rate (Srivastava et
 *  al., 2014; like Keras, this scales in training). `random` returns numbers from 0 to 1. */
export const dropout = (values, rate, random) =>
  values.map((value) => (random() < rate ? 0 : value / (1 - rate)));

define("dropout", (panel, { values: tensor }) => {
  const values = Array.from(tensor.values);
  // One scale for all plots, modes and rates: a little above the largest possible output.
  const top = (1.02 * Math.max(...values)) / (1 - MAX_RATE);
  const rows = {
    in: "The inputs of the layer",
    out: "Its outputs in this step; × is silenced",
    mean: "The mean of its outputs so far; a line marks the input",
  };
  const plots = {}; // by row: the element that holds its plot
  const status = announcer();
  let rate = 0.2;
  let training = true;
  let steps, sums, random, last;

  const show = () => {
    const mean = sums.map((sum) => (steps ? sum / steps : 0));
    plots.in.replaceChildren(bars(values, { top, name: rows.in }));
    plots.out.replaceChildren(bars(last, { top, name: rows.out, silenced: last.map((v, i) => values[i] > 0 && v === 0) }));
    plots.mean.replaceChildren(bars(mean, { top, name: rows.mean, marks: values }));
    if (!steps) return status.say("No step yet.");
    const error = mean.reduce((sum, value, i) => sum + Math.abs(value - values[i]), 0);
    const share = (error / values.reduce((a, b) => a + b)).toFixed(2);
    const silent = last.filter((value, i) => values[i] > 0 && value === 0).length;
    const factor = (1 / (1 - rate)).toFixed(2);
    const outcome = training
      ? `${silent} of ${values.length} are silenced, the others multiplied by ${factor}.`
      : "At prediction, none is silenced and none is scaled.";
    status.say(`Step ${steps}: ${outcome} The mean so far is off by ${share} of what came in.`);
  };
  const restart = () => {
    [steps, sums, random] = [0, values.map(() => 0), randomFrom(1)];
    last = values.map(() => 0);
    step(1);
  };
  const step = (count) => {
    for (let i = 0; i < count; i++) {
      last = training ? dropout(values, rate, random) : values;
      sums = sums.map((sum, unit) => sum + last[unit]);
    }
    steps += count;
    show();
  };

  const figures = Object.entries(rows).map(([row, caption]) => {
    plots[row] = make("div");
    return make("figure", {}, make("figcaption", {}, caption), plots[row]);
  });
  panel.append(
    ...figures,
    status,
    slider("Rate", { min: 0, max: MAX_RATE, step: 0.1, value: rate, format: (n) => n.toFixed(1) }, (value) => {
      rate = value;
      restart();
    }),
    choice("Mode", [["training", "training"], ["prediction", "prediction"]], (value) => {
      training = value === "training";
      restart();
    }),
    make(
      "p",
      { className: "explorer-buttons" },
      button("One step", () => step(1)),
      button("A hundred steps", () => step(100)),
      button("Start again", restart),
    ),
  );
  restart();
});
