// Small SVG plots in the page's colours: bars, and curves by epoch.

const SVG = "http://www.w3.org/2000/svg";

const svg = (tag, attributes = {}, ...children) => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

/** Return a bar chart from 0 to `top`. `name` is its label for screen readers. Bar i gets a cross if
 *  `silenced[i]`, and a line at the value `marks[i]` if there is one. */
export const bars = (values, { top, name, silenced = [], marks = [] }) => {
  const [width, height] = [20 * values.length, 96];
  const y = (value) => height - 1 - (Math.min(value, top) / top) * (height - 2);
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name, class: "explorer-plot" });
  values.forEach((value, i) => {
    plot.append(svg("rect", { x: 20 * i + 2, y: y(value), width: 16, height: height - 1 - y(value), class: "bar" }));
    if (silenced[i]) plot.append(svg("path", { d: `M${20 * i + 5} ${height - 14}l10 10m0-10l-10 10`, class: "cross" }));
    if (marks[i] !== undefined) plot.append(svg("path", { d: `M${20 * i} ${y(marks[i])}h20`, class: "mark" }));
  });
  plot.append(svg("path", { d: `M0 ${height - 0.5}H${width}`, class: "axis" }));
  return plot;
};

/** Return a plot of curves from epoch 1 to `epochs`, faint after `epoch`. `lines` are
 *  { values, kind }; `kind` is a curve's CSS classes. `range` is the [lowest, highest] value shown; others
 *  lie on the edge. `band` is filled: the [lowest, …, highest] value of each epoch. `level` is a value with
 *  a dotted line. */
export const curves = (lines, { epoch, epochs, range: [low, high], name, band = [], level }) => {
  const [width, height, left] = [320, 170, 34];
  const x = (number) => left + ((number - 1) / Math.max(epochs - 1, 1)) * (width - left - 8);
  const y = (value) => 8 + ((high - Math.min(value, high)) / (high - low || 1)) * (height - 32);
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name, class: "explorer-plot" });
  if (level) plot.append(svg("path", { d: `M${left} ${y(level)}H${width - 8}`, class: "level" }));
  for (const value of [low, (low + high) / 2, high]) {
    plot.append(svg("path", { d: `M${left} ${y(value)}H${width - 8}`, class: "axis" }));
    plot.append(svg("text", { x: left - 4, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(2)));
  }
  for (const number of new Set([1, epochs])) {
    plot.append(svg("text", { x: x(number), y: height - 6, "text-anchor": "middle" }, `${number}`));
  }
  const along = (values) => values.map((value, i) => `${x(i + 1)},${y(value)}`);
  const edges = [...along(band.map((values) => values.at(-1))), ...along(band.map(([value]) => value)).reverse()];
  if (band.length) plot.append(svg("polygon", { points: edges.join(" "), class: "band" }));
  if (epoch) plot.append(svg("path", { d: `M${x(epoch)} 8V${height - 24}`, class: "mark" }));
  for (const { values, kind } of lines) {
    const points = along(values);
    plot.append(svg("polyline", { points: points.join(" "), class: `curve ${kind} later` }));
    plot.append(svg("polyline", { points: points.slice(0, epoch).join(" "), class: `curve ${kind}` }));
    const last = Math.min(epoch ?? epochs, values.length);
    if (last) plot.append(svg("circle", { cx: x(last), cy: y(values[last - 1]), r: 3, class: kind }));
  }
  return plot;
};

/** Return a plot of a dot for each of `values`, sorted; near values are stacked. `band` is filled: from its
 *  first to its last number. `name` is the plot's label for screen readers. */
export const dots = (values, { band, name }) => {
  const [width, height, radius] = [320, 110, 4];
  const all = [...values, ...band];
  const [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
  const x = (value) => 40 + ((value - low) / (high - low || 1)) * (width - 80);
  const plot = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name, class: "explorer-plot" });
  if (band.length) {
    const [from, to] = [x(band[0]), x(band.at(-1))];
    plot.append(svg("rect", { x: from, y: 4, width: to - from, height: height - 24, class: "band" }));
  }
  plot.append(svg("path", { d: `M0 ${height - 20}H${width}`, class: "axis" }));
  for (const value of new Set(band.length ? [band[0], band.at(-1)] : [low, high])) {
    plot.append(svg("text", { x: x(value), y: height - 6, "text-anchor": "middle" }, value.toFixed(2)));
  }
  const stacks = new Map(); // the number of dots in each column
  for (const value of values) {
    const column = Math.round(x(value) / (2 * radius));
    const level = stacks.get(column) ?? 0;
    stacks.set(column, level + 1);
    plot.append(svg("circle", { cx: 2 * radius * column, cy: height - 20 - radius * (2 * level + 1), r: radius, class: "run-1" }));
  }
  return plot;
};
