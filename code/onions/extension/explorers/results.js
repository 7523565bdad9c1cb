// The result of a run as a line of text, which a learner hands in and an instructor pastes.

const LINE = /(\S.*): (\d+) images, (\d+) epochs, seed (\d+): accuracy (\d\.\d+), loss (\d+\.\d+)/;

/** Return the line for a run of a network, `name`: its accuracy and loss are those of validation. */
export const resultLine = (name, { images, epochs, seed, val_accuracy: accuracy, val_loss: loss }) =>
  `${name}: ${images} images, ${epochs} epochs, seed ${seed}: accuracy ${accuracy.toFixed(4)}, loss ${loss.toFixed(4)}`;

/** Return { results, others } of a text: the results of `name` for as many images and epochs, and the number
 *  of other lines that are not empty. A line that comes again, as from a chat, counts once. */
export const parseResults = (text, name, images, epochs) => {
  const lines = [...new Set(text.split("\n").map((line) => line.trim()))].filter(Boolean);
  const results = lines.flatMap((line) => {
    const match = line.match(LINE);
    if (!match?.[1].endsWith(name) || Number(match[2]) !== images || Number(match[3]) !== epochs) return [];
    return { accuracy: Number(match[5]), loss: Number(match[6]) };
  });
  return { results, others: lines.length - results.length };
};
