import type { GpuMemory, GpuTensor } from './memory.ts';

/** How a row's token is drawn. */
export interface Choice {
  /** 0: the likeliest. */
  temperature: number;
  topP: number;
  topK: number;
  /** In [0, 1]: the only chance. */
  uniform: number;
  /** The row of `masks` that says what may be drawn, or -1. */
  maskOf: number;
}

/** The same for all rows, as kernels read it. */
export interface Choices {
  choices: GpuTensor;
  /** [masks, words]: a bit for each token that may be drawn. */
  masks?: GpuTensor;
}

/** What a row of the table has, in 32 bits each. */
const settings = ['inverse', 'topP', 'topK', 'uniform', 'maskOf'] as const;

/** Below 1 and below the vocabulary's size, which cuts something, they are as asked for. */
const uncut = { topP: 2, topK: 2 ** 31 - 1 };
/** The largest below 1: 1, to which a chance may be rounded, lies behind all tokens. */
const lastChance = 1 - 2 ** -24;
/** 1 / temperature, at which all but the largest logit weigh nothing; the first of these is drawn then. */
const greedy = { inverse: 1e32, ...uncut, uniform: 0 };

function settingsOf({ temperature, topP, topK, uniform, maskOf }: Choice): Record<(typeof settings)[number], number> {
  if (temperature <= 0) return { ...greedy, maskOf };
  return {
    inverse: Math.min(1 / temperature, greedy.inverse),
    topP: topP < 1 ? topP : uncut.topP,
    topK: topK > 0 ? topK : uncut.topK,
    uniform: Math.min(uniform, lastChance),
    maskOf,
  };
}

/** Whether some tokens never come. */
export function isCut(choice: Choice, vocab: number): boolean {
  const { topP, topK } = settingsOf(choice);
  return topP < 1 || topK < vocab;
}

/** Its table, for as long as `work` takes. */
export function withChoices(
  memory: GpuMemory,
  rows: readonly Choice[],
  masks: GpuTensor | undefined,
  work: (choices: Choices) => void,
): void {
  const table = new Int32Array(rows.length * settings.length);
  const floats = new Float32Array(table.buffer);
  rows.map(settingsOf).forEach((row, i) => {
    settings.forEach((name, j) => {
      const isWhole = name === 'topK' || name === 'maskOf';
      (isWhole ? table : floats)[i * settings.length + j] = row[name];
    });
  });
  memory.withInts(table, choices => work({ choices, ...(masks && { masks }) }));
}

const settingPlace = (name: (typeof settings)[number]) =>
  `choices[p.choices + row * ${settings.length}u + ${settings.indexOf(name)}u]`;

/** In a program: the settings of a row. */
export const choiceOf = `
fn inverseOf(row: u32) -> f32 { return bitcast<f32>(${settingPlace('inverse')}); }
fn topPOf(row: u32) -> f32 { return bitcast<f32>(${settingPlace('topP')}); }
fn topKOf(row: u32) -> u32 { return u32(${settingPlace('topK')}); }
fn uniformOf(row: u32) -> f32 { return bitcast<f32>(${settingPlace('uniform')}); }
fn isCut(row: u32) -> bool { return topPOf(row) < 1.0 || topKOf(row) < p.vocab; }`;

/** The least of logits: of tokens that may not be drawn, and of those behind the last. */
export const never = '-3e38';

/** In a program: what a logit weighs beside the best, e^((value − best) · inverse): nothing, as on the CPU, where it is next to that. */
export const weightOf = `
fn weightOf(value: f32, best: f32, inverse: f32) -> f32 {
  let z = max(value - best, -1e6) * inverse;
  return select(exp(z), 0.0, z < -80.0 || value < -1e38);
}`;

/** In a program: the logit of a token of a row, if it may be drawn. `row` is the row's number among all, `at` where its logits begin. */
export const allowedLogit = (isMasked: boolean) => `
fn allowedLogit(row: u32, at: u32, token: u32) -> f32 {
  let given = logits[at + token];
  let value = select(given, ${never}, given < ${never});
  ${
    isMasked
      ? `let mask = ${settingPlace('maskOf')};
  if (mask < 0) { return value; }
  let word = masks[p.masks + u32(mask) * ((p.vocab + 31u) / 32u) + token / 32u];
  return select(${never}, value, ((word >> (token % 32u)) & 1) == 1);`
      : 'return value;'
  }
}`;

/** What kernels read that call it. */
export const choiceReads = (isMasked: boolean) => ({
  logits: 'f32' as const,
  choices: 'i32' as const,
  ...(isMasked && { masks: 'i32' as const }),
});
