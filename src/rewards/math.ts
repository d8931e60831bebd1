/** Characters at the end of an answer in which the box is looked for. */
const ANSWER_TAIL = 100;
const BOX = /\\(?:boxed|fbox)(?:\{|\s+(?=[^\s{]))/g;
/** Where the content of a box without braces ends: its mathematics, or its line. */
const BARE_END = /\$|\\[)\]]|\n|$/;

export interface MathScore {
  /** 1 or −1. */
  score: number;
  correct: boolean;
  /** What the box holds; absent where there is no complete box. */
  predicted?: string;
}

/** +1 if the last box within the answer's last 100 characters holds exactly `groundTruth`, else −1. */
export function mathReward(answer: string, groundTruth: string): MathScore {
  const predicted = lastBoxed([...answer].slice(-ANSWER_TAIL).join(''));
  const correct = predicted === groundTruth;
  return { score: correct ? 1 : -1, correct, predicted };
}

/**
 * The content of the last `\boxed{…}`, `\fbox{…}` or `\boxed …`, braces matched; undefined where there is none or it is not
 * closed.
 */
export function lastBoxed(text: string): string | undefined {
  const box = [...text.matchAll(BOX)].at(-1);
  if (!box) return undefined;
  const start = box.index + box[0].length;
  if (!box[0].endsWith('{')) return text.slice(start).split(BARE_END, 1)[0].trim().replace(/\.$/, '');
  let depth = 1;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '{') depth++;
    if (text[i] === '}' && --depth === 0) return text.slice(start, i);
  }
  return undefined;
}
