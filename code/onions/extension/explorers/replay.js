// <onion-replay>: replays two trainings epoch by epoch: curves, kernels, accuracy by class.

import { announcer, button, choice, define, make, part, slider } from "./shared.js";
import { curves as plot } from "./plots.js";
import { tiles } from "./trained.js";

const METRICS = { accuracy: "accuracy", loss: "loss" };

define("replay", (panel, { names, curves, kernels, classes, by_class: byClass }) => {
  const epochs = curves[0].accuracy.length;
  let epoch = epochs;
  let metric = "accuracy";
  let playing;

  const plotContainer = make("div");
  const status = announcer();
  const canvases = names.map((name) =>
    make("canvas", {
      className: "explorer-tiles",
      role: "img",
      "aria-label": `The kernels of the first layer, ${name}`,
    }),
  );
  const cells = classes.map(() => names.map(() => make("td")));
  const table = make(
    "table",
    { className: "explorer-table" },
    make("caption", {}, "Validation accuracy by class"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "class"), ...names.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...classes.map((name, i) => make("tr", {}, make("th", { scope: "row" }, name), ...cells[i]))),
  );

  const show = () => {
    const lines = ["", "val_"].flatMap((set) =>
      curves.map((run, i) => ({ values: run[set + metric], kind: `${set ? "validation" : "training"} run-${i}` })),
    );
    const all = lines.flatMap((line) => line.values);
    const range = metric === "accuracy" ? [0, 1] : [0, Math.max(...all)];
    plotContainer.replaceChildren(plot(lines, { epoch, epochs, range, name: `${METRICS[metric]} by epoch, up to epoch ${epoch}` }));
    canvases.forEach((canvas, run) => {
      const image = tiles(part(part(kernels, run), epoch - 1));
      [canvas.width, canvas.height] = [image.width, image.height];
      canvas.getContext("2d").putImageData(image, 0, 0);
    });
    names.forEach((_, run) => {
      const shares = part(part(byClass, run), epoch - 1).values;
      shares.forEach((share, i) => {
        cells[i][run].textContent = share.toFixed(2);
        cells[i][run].style.setProperty("--share", share);
      });
    });
    const values = names.map((name, run) => {
      const [training, validation] = ["", "val_"].map((set) => curves[run][set + metric][epoch - 1].toFixed(2));
      return `${name} ${training} in training, ${validation} in validation`;
    });
    status.say(`Epoch ${epoch} of ${epochs}, ${METRICS[metric]}: ${values.join("; ")}.`);
  };

  const stop = () => {
    clearInterval(playing);
    playing = undefined;
    play.textContent = "Play";
  };
  const play = button("Play", () => {
    if (playing) return stop();
    scrub.set(1);
    play.textContent = "Stop";
    playing = setInterval(() => {
      scrub.set(epoch + 1);
      if (epoch === epochs) stop();
    }, 600);
  });
  const scrub = slider("Epoch", { min: 1, max: epochs, value: epochs }, (value) => {
    epoch = value;
    show();
  });
  scrub.control.addEventListener("pointerdown", stop);
  scrub.control.addEventListener("keydown", stop);
  const captioned = (canvas, run) =>
    make("figure", {}, canvas, make("figcaption", {}, `kernels of the first layer, ${names[run]}`));
  panel.append(
    make("div", { className: "explorer-row explorer-large" }, ...canvases.map(captioned)),
    status,
    make(
      "div",
      {},
      scrub,
      play,
      choice("Curves of", Object.entries(METRICS), (value) => {
        metric = value;
        show();
      }),
    ),
    make(
      "div",
      { className: "explorer-row" },
      make(
        "figure",
        { className: "explorer-wide" },
        plotContainer,
        make("figcaption", {}, `Solid: training; dashed: validation. Blue, thin: ${names[0]}; orange, thick: ${names[1]}.`),
      ),
      make("div", { className: "explorer-scroll", tabIndex: 0, role: "group", "aria-label": "Accuracy by class" }, table),
    ),
  );
  show();
});
