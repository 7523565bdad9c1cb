// Loads images from the files that `onions.packed` writes.

const SIDE = 32; // pixels along an image's side
const PLANE = SIDE * SIDE;
export const SIZE = 3 * PLANE; // bytes of an image
const ATTEMPTS = 3;

/** Load files, [{ url, count }, …]; `count` is the number of images in a file. Return { images, labels }: a
 *  Uint8Array [32, 32, 3] and a number for each image. `report({ bytes })` is called as bytes arrive, and
 *  `check()`, which may throw, before each file. Throws an Error if a file does not arrive whole in three
 *  attempts; the browser keeps the others. */
export const loadImages = async (files, report, check = () => {}) => {
  let arrived = 0;
  const images = [];
  const labels = [];
  for (const { url, count } of files) {
    check();
    const before = arrived;
    const onbytes = (bytes) => report({ bytes: (arrived += bytes) });
    const onretry = () => (arrived = before);
    const content = await attempt(() => fetchPacked(url, count * (1 + SIZE), onbytes), onretry);
    labels.push(...content.subarray(0, count));
    const pixels = new Uint8Array(count * SIZE);
    for (let i = 0; i < count; i++) {
      const image = pixels.subarray(i * SIZE, (i + 1) * SIZE);
      unpack(content.subarray(count + i * SIZE), image);
      images.push(image);
    }
  }
  return { images, labels };
};

const attempt = async (work, onretry) => {
  for (let number = 1; ; number++) {
    try {
      return await work();
    } catch (error) {
      if (number === ATTEMPTS) throw error;
      onretry();
      await new Promise((resolve) => setTimeout(resolve, 1000 * number));
    }
  }
};

/** Fetch and decompress a file. Gzip's checksum shows whether it is whole. */
const fetchPacked = async (url, size, onbytes) => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  const count = new TransformStream({
    transform: (chunk, controller) => {
      onbytes(chunk.length);
      controller.enqueue(chunk);
    },
  });
  const stream = response.body.pipeThrough(count).pipeThrough(new DecompressionStream("gzip"));
  const content = new Uint8Array(await new Response(stream).arrayBuffer());
  if (content.length !== size) throw new Error(`${url}: ${content.length} bytes instead of ${size}`);
  return content;
};

const planes = new Uint8Array(SIZE); // of the image that is unpacked

/** Undo `onions.packed.pack`: write an image's pixels [32, 32, 3]. */
const unpack = (residuals, pixels) => {
  for (let i = 0; i < SIZE; i++) {
    const [row, column] = [Math.floor((i % PLANE) / SIDE), i % SIDE];
    const left = column ? planes[i - 1] : 0;
    const above = row ? planes[i - SIDE] : 0;
    const corner = row && column ? planes[i - SIDE - 1] : 0;
    const [low, high] = left < above ? [left, above] : [above, left];
    planes[i] = residuals[i] + (corner >= high ? low : corner <= low ? high : left + above - corner);
  }
  for (let i = 0; i < PLANE; i++) {
    const green = planes[PLANE + i];
    pixels[3 * i] = planes[i] + green - 128;
    pixels[3 * i + 1] = green;
    pixels[3 * i + 2] = planes[2 * PLANE + i] + green - 128;
  }
};
