/** Characters at the end of an answer in which the box is looked for. */
const ANSWER_TAIL = 100;
const BOX = '\\boxed{';

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

/** The content of the last `\boxed{…}`, braces matched; undefined where there is none or it is not closed. */
export function lastBoxed(text: string): string | undefined {
  const box = text.lastIndexOf(BOX);
  if (box < 0) return undefined;
  const start = box + BOX.length;
  let depth = 1;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '{') depth++;
    if (text[i] === '}' && --depth === 0) return text.slice(start, i);
  }
  return undefined;
}
