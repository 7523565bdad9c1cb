// Shared by all explorers: the custom element, exports, tensors, labelled controls, drawing.

/** Define the element `<onion-NAME>`. `build(panel, values, dataset)` fills the panel once the exports
 *  have loaded. The panel then replaces the static figure on screen; print keeps the figure. */
export const define = (name, build) => {
  const Element = class extends HTMLElement {
    async connectedCallback() {
      if (this.started) return;
      this.started = true;
      const panel = make("div", { className: "explorer-panel" });
      try {
        // Without exports, `await` delays `build` until the explorer's module has run to its end.
        const parts = await Promise.all(this.dataset.exports?.split(" ").map(load) ?? []);
        await build(panel, Object.assign({}, ...parts), this.dataset);
        this.append(panel);
        const pressed = this.querySelector(".explorer-open:focus");
        this.classList.add("ready"); // hides the button
        if (pressed) panel.querySelector("[tabindex]").focus();
      } catch (error) {
        console.error(`${this.localName}:`, error); // the static figure stays
      }
    }
  };
  customElements.define(`onion-${name}`, Element);
};

/** Fetch and unpack an export's values (see `onions.exports`). Throws an Error if the status is not 2xx. */
export const load = async (url) => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return unpack(await response.json());
};

/** Turn an export's arrays into tensors { shape, dtype, values }; float16 becomes a Float32Array. */
export const unpack = (value) => {
  if (Array.isArray(value)) return value.map(unpack);
  if (value === null || typeof value !== "object") return value;
  if (!("base64" in value)) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unpack(inner)]));
  }
  const { buffer } = Uint8Array.from(atob(value.base64), (letter) => letter.charCodeAt(0));
  const read = {
    uint8: (bytes) => new Uint8Array(bytes),
    int32: (bytes) => new Int32Array(bytes),
    float16: (bytes) => Float32Array.from(new Uint16Array(bytes), fromHalf),
    float32: (bytes) => new Float32Array(bytes),
  };
  return { shape: value.shape, dtype: value.dtype, values: read[value.dtype](buffer) };
};

/** Decode 16 bits as a half-precision number (IEEE 754). Exports contain finite numbers only. */
const fromHalf = (bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
};

/** Return the part at index `number` of a tensor's first axis, as a view. */
export const part = ({ shape: [count, ...shape], values }, number) => {
  const size = values.length / count;
  return { shape, values: values.subarray(number * size, (number + 1) * size) };
};

/** Scale an image [height, width, channels] from bytes to numbers from 0 to 1. */
export const normalised = ({ shape, values }) => ({ shape, values: Float32Array.from(values, (v) => v / 255) });

/** Return the number of images in files, each { count }. */
export const imageCount = (files) => files.reduce((sum, { count }) => sum + count, 0);

/** Create an element. `role`, `for` and names with a dash set attributes; other names set
 *  properties. */
export const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
};

let serial = 0;
/** Create a labelled field: a paragraph, whose property `control` is the given control. */
const labelled = (label, control) => {
  control.id = `explorer-control-${(serial += 1)}`;
  const field = make("p", { className: "explorer-field" }, make("label", { for: control.id }, label), control);
  return Object.assign(field, { control });
};

/** Create a labelled select of texts, or of [value, text] pairs. `onchange` gets a string. */
export const choice = (label, options, onchange) => {
  const control = make("select", { onchange: () => onchange(control.value) });
  for (const option of options) {
    const [value, text] = Array.isArray(option) ? option : [option, option];
    control.append(make("option", { value }, text));
  }
  return labelled(label, control);
};

/** Create a labelled slider that shows its value as `format` returns it. */
export const slider = (label, { min, max, step = 1, value, format = String }, onchange) => {
  const control = make("input", { type: "range", min, max, step, value });
  const field = labelled(label, control);
  // Hidden from screen readers, which read the slider's aria-valuetext.
  const valueText = make("span", { className: "explorer-value", "aria-hidden": true });
  const show = () => {
    valueText.textContent = format(control.valueAsNumber);
    control.setAttribute("aria-valuetext", valueText.textContent);
  };
  control.oninput = () => {
    show();
    onchange(control.valueAsNumber);
  };
  show();
  field.append(valueText);
  /** Set the slider's value, and call `onchange`. */
  field.set = (number) => {
    control.value = number;
    control.oninput();
  };
  return field;
};

/** Create a labelled checkbox. `onchange` gets a boolean. */
export const tick = (label, checked, onchange) => {
  const control = make("input", { type: "checkbox", checked });
  control.onchange = () => onchange(control.checked);
  return labelled(label, control);
};

/** Create a field with a tile to choose for each name. `onchange` gets a number. `show(tensors, range)`
 *  draws the tiles, see `draw`; `choose(number)` chooses one. */
export const tiles = (label, names, onchange) => {
  const group = `explorer-tiles-${(serial += 1)}`;
  const legend = make("legend");
  const choose = (number) => {
    controls[number].checked = true;
    legend.textContent = `${label}: ${names[number]}`;
  };
  const controls = names.map((name, i) =>
    make("input", {
      type: "radio",
      name: group,
      title: name,
      "aria-label": name,
      onchange: () => {
        choose(i);
        onchange(i);
      },
    }),
  );
  const canvases = names.map(() => make("canvas"));
  const options = controls.map((control, i) => make("label", { title: names[i] }, control, canvases[i]));
  const field = make("fieldset", { className: "explorer-choices" }, legend, ...options);
  choose(0);
  const show = (tensors, range) => tensors.forEach((tensor, i) => draw(canvases[i], tensor, range));
  return Object.assign(field, { show, choose });
};

/** Create a labelled chooser of a colour. `control.value` is like "#ff7800". */
export const colour = (label, value) => labelled(label, make("input", { type: "color", value }));

/** Create a button. */
export const button = (label, onclick) => make("button", { type: "button", onclick }, label);

/** Create a status line. `say(text)` sets its text, which screen readers announce. */
export const announcer = () => {
  const status = make("p", { className: "explorer-says", role: "status" });
  return Object.assign(status, { say: (text) => (status.textContent = text) });
};

/** Create a box for code, an element, with a button that copies it. `label` is what screen readers say,
 *  `noun` what the button copies. */
export const codeBox = (text, label, noun = "code") => {
  const name = { role: "region", "aria-label": label };
  const box = make("pre", { ...name, tabIndex: 0 }, text); // focusable, so the keyboard can scroll it
  const result = make("span", { role: "status" });
  const copy = button(`Copy the ${noun}`, async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      result.textContent = " Copied.";
    } catch {
      getSelection().selectAllChildren(text);
      result.textContent = ` The ${noun} is selected: copy it with Ctrl+C or ⌘C.`;
    }
  });
  copy.onblur = () => (result.textContent = "");
  return make("div", { className: "network-code" }, make("p", {}, copy, result), box);
};

/** Draw an image [height, width, 3] of numbers from 0 to 1, or a map [height, width, 1] in greys. A
 *  map is black at `range[0]` and white at `range[1]`; the default range is its extent. */
export const draw = (canvas, { shape: [height, width, channels], values }, range) => {
  const pixels = new ImageData(width, height);
  const [low, high] = channels === 3 ? [0, 1] : (range ?? extent(values));
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let colour = 0; colour < 3; colour++) {
      const value = values[pixel * channels + (channels === 3 ? colour : 0)];
      pixels.data[pixel * 4 + colour] = (255 * (value - low)) / (high - low || 1);
    }
    pixels.data[pixel * 4 + 3] = 255;
  }
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
};

/** Return [lowest, highest]. */
export const extent = (values) => {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
};

/** Return the map at index `number` of [height, width, maps] as [height, width, 1]. */
export const oneMap = ({ shape: [height, width, maps], values }, number) => ({
  shape: [height, width, 1],
  values: Float32Array.from({ length: height * width }, (_, pixel) => values[pixel * maps + number]),
});

/** Create a labelled select of images [count, height, width, 3] and, once there is one, the reader's
 *  own. `onchange(image, number)` gets an image of numbers from 0 to 1, and its number, which is
 *  undefined for the reader's own. `setOwn(image)` chooses that one; `upload` is a field for its file. */
export const imageChoice = (images, names, onchange) => {
  let own;
  const options = names.map((name, i) => [i, `${i + 1}: ${name}`]);
  const field = choice("Image", options, (value) => {
    if (value === "own") onchange(own);
    else onchange(normalised(part(images, Number(value))), Number(value));
  });
  const setOwn = (image) => {
    if (!own) field.control.append(make("option", { value: "own" }, "your own"));
    own = image;
    field.control.value = "own";
    onchange(own);
  };
  return Object.assign(field, { setOwn, upload: ownImage(setOwn) });
};

/** Create a file field for a reader's own image, which never leaves the browser. `onimage(tensor)`
 *  gets the central square, scaled to [side, side, 3], as numbers from 0 to 1. */
const ownImage = (onimage, side = 32) => {
  const control = make("input", { type: "file", accept: "image/*" });
  const field = labelled("Your own image (it stays in this browser)", control);
  const problem = make("span", { role: "alert" });
  field.append(problem);
  control.onchange = async () => {
    problem.textContent = "";
    try {
      const bitmap = await createImageBitmap(control.files[0]);
      const size = Math.min(bitmap.width, bitmap.height);
      const [left, top] = [(bitmap.width - size) / 2, (bitmap.height - size) / 2];
      const canvas = make("canvas", { width: side, height: side });
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(bitmap, left, top, size, size, 0, 0, side, side);
      const { data } = context.getImageData(0, 0, side, side);
      onimage({
        shape: [side, side, 3],
        values: Float32Array.from({ length: side * side * 3 }, (_, i) => data[Math.floor(i / 3) * 4 + (i % 3)] / 255),
      });
    } catch {
      problem.textContent = " This file is no image that your browser can read.";
    }
  };
  return field;
};
