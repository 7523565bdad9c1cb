// Windows of an accelerometer, made by the formula of the page time_series.

import { randomFrom } from "./random.js";

const TIMES = 128; // 50 in each second
export const SHAPE = [1, TIMES, 3]; // the axes are channels
const TEMPOS = [0, 1.8, 2.7]; // of still, walking and running, per second
const STRENGTHS = [0, 0.3, 0.6];

/** Make `count` windows. Return { images, labels }: a Float32Array [1, 128, 3] and a number for each. */
export const makeWindows = (count, seed) => {
  const random = randomFrom(seed);
  const labels = Array.from({ length: count }, () => Math.floor(3 * random()));
  return { images: labels.map((label) => makeWindow(label, random)), labels };
};

const makeWindow = (label, random) => {
  const tempo = TEMPOS[label] + 0.2 * normal(random);
  const strength = STRENGTHS[label] * (0.5 + random());
  const start = random();
  const [gravity, direction] = [arrow(random), arrow(random)];
  return Float32Array.from({ length: 3 * TIMES }, (_, i) => {
    const seconds = Math.floor(i / 3) / 50 + start;
    const swing = strength * Math.sin(2 * Math.PI * tempo * seconds);
    return gravity[i % 3] + swing * direction[i % 3] + 0.1 * normal(random);
  });
};

/** Return a random direction: three numbers whose squares add up to 1. */
const arrow = (random) => {
  const numbers = [0, 1, 2].map(() => normal(random));
  const length = Math.hypot(...numbers);
  return numbers.map((number) => number / length);
};

/** Return a random number of the standard normal distribution (Box and Muller). */
const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
