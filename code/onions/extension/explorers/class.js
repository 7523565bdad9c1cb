// <onion-class>: the results of a class over those of the reference runs. No result leaves the browser.

import { dots } from "./plots.js";
import { parseResults } from "./runs.js";
import { announcer, define, imageCount, make } from "./shared.js";

const MEASURES = ["accuracy", "loss"]; // of the validation images

define("class", (panel, { network, sets, epochs, bands }) => {
  const images = imageCount(sets.train);
  const expected = MEASURES.map((measure) => bands[`val_${measure}`]?.[epochs - 1] ?? []);
  const status = announcer();
  const plots = MEASURES.map(() => make("div"));
  const show = () => {
    const { results, others } = parseResults(text.value, network, images, epochs);
    const values = MEASURES.map((measure) => results.map((result) => result[measure]).sort((a, b) => a - b));
    plots.forEach((plot, i) => {
      const name = `Validation ${MEASURES[i]} of each learner: ${listed(values[i])}.`;
      plot.replaceChildren(dots(values[i], { band: expected[i], name }));
    });
    status.say([resultsText(values[0], expected[0]), othersText(others, images, epochs)].join(" "));
  };
  const text = make("textarea", { rows: 5, id: "class-results", oninput: show });
  const label = make("label", { for: text.id }, "Results of your class, a line for each learner");
  const grey = expected[0].length ? ". Grey: where 99 of 100 runs are expected" : "";
  const figures = plots.map((plot, i) =>
    make("figure", { className: "explorer-wide" }, plot, make("figcaption", {}, `validation ${MEASURES[i]}: a dot for each learner${grey}`)),
  );
  panel.append(make("p", {}, label), text, status, make("div", { className: "explorer-row" }, ...figures));
  show();
});

const listed = (values) => values.map((value) => value.toFixed(2)).join(", ") || "none yet";

const resultsText = (values, [low, , high]) => {
  if (!values.length) return "No result yet.";
  const middle = (values[Math.floor((values.length - 1) / 2)] + values[Math.floor(values.length / 2)]) / 2;
  const inside = values.filter((value) => value >= low && value <= high).length;
  const expected = low === undefined ? "" : ` ${inside} of them in the grey area.`;
  const count = `${values.length} result${values.length === 1 ? "" : "s"}`;
  return `${count}, with validation accuracies from ${values[0].toFixed(3)} to ${values.at(-1).toFixed(3)}, and ${middle.toFixed(3)} in the middle.${expected}`;
};

const othersText = (count, images, epochs) => {
  if (!count) return "";
  return `${count} line${count === 1 ? " is" : "s are"} left out: no result of this network after ${epochs} epochs of ${images} images.`;
};
