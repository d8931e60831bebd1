import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { UserError } from '../../src/errors.ts';
import { linearNames } from '../../src/model/config.ts';
import { formatRecipe, type OnPolicyRecipe, parseRecipe } from '../../src/train/recipe.ts';

const sod = { method: 'sod', model: 'student', teacher: 'teacher' };
const message = (input: unknown) => {
  try {
    parseRecipe(input, 'r.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
  return 'no error';
};

test("defaults are the paper's", () => {
  expect(parseRecipe(sod)).toMatchObject({
    sod: { epsilon: 1e-6, delta: 0.2, lambda: 1 },
    rollout: { groupSize: 16, temperature: 1, topP: 1, maxTurns: 16, maxPromptTokens: 2560, maxResponseTokens: 20480 },
    training: { iterations: 120, promptsPerIteration: 64, promptsPerUpdate: 16 },
    optimizer: { learningRate: 1e-6, schedule: 'constant', weightDecay: 0.01, clipNorm: 1 },
    loss: { clipLow: 0.2, clipHigh: 0.28, dualClip: 3, aggregation: 'token-mean' },
    reward: { shaping: 'text', overlongBuffer: 1024 },
  });
  expect(parseRecipe({ method: 'sft', model: 'base' })).toMatchObject({
    training: { demonstrations: 3000, epochs: 5, batchSize: 128, maxTokens: 32768 },
    optimizer: { learningRate: 5e-5, betas: [0.9, 0.95], schedule: 'cosine', warmup: 0.1 },
  });
});

test('a recipe written out reads back as itself', () => {
  const recipe = parseRecipe(sod);
  expect(parseRecipe(parse(formatRecipe(recipe)))).toEqual(recipe);
});

test('the clips of the loss and of the gradient can be left out', () => {
  const { loss, optimizer } = parseRecipe({
    ...sod,
    loss: { dualClip: 'off' },
    optimizer: { clipNorm: 0 },
  }) as OnPolicyRecipe;
  expect([loss.dualClip, optimizer.clipNorm]).toEqual(['off', 0]);
});

test('adapters have the defaults of servers and PEFT, in one order whatever is written', () => {
  expect(parseRecipe({ ...sod, lora: {} }).lora).toEqual({ rank: 32, alpha: 32, targets: linearNames });
  const { lora } = parseRecipe({ ...sod, lora: { rank: 8, targets: ['v_proj', 'q_proj', 'v_proj'] } });
  expect(lora).toEqual({ rank: 8, alpha: 32, targets: ['q_proj', 'v_proj'] });
  expect(parseRecipe(sod)).not.toHaveProperty('lora');
});

test('an engine is this machine, or a server', () => {
  expect(parseRecipe({ ...sod, engine: { threads: 2 } }).engine).toEqual({ dtype: 'auto', threads: 2 });
  const server = { kind: 'tinker', url: 'http://127.0.0.1:8000', dialect: 'skyrl-fsdp' };
  expect(parseRecipe({ ...sod, engine: server }).engine).toEqual(server);
});

test.each([
  [{ ...sod, engine: { kind: 'tinkr', url: 'http://x' } }, /^r\.yaml: engine\.kind: must be local or tinker$/],
  [
    { ...sod, lora: { targets: ['q_proj', 'lm_head'] } },
    /^r\.yaml: lora\.targets\.1: must be one of q_proj, k_proj, v_proj/,
  ],
  [{ ...sod, lora: { rank: 0 } }, /^r\.yaml: lora\.rank: /],
  [{ ...sod, engine: { kind: 'tinker' } }, /^r\.yaml: engine\.url: must be the address of a server/],
  [
    { ...sod, engine: { kind: 'tinker', url: 'http://x', threads: 2 } },
    /^r\.yaml: engine: unknown key 'threads'\. Allowed: kind, url, /,
  ],
  [
    { ...sod, engine: { kind: 'tinker', url: 'http://x' }, rollout: { server: { url: 'http://y', weights: 'w' } } },
    /^r\.yaml: rollout\.server: http:\/\/x samples by itself$/,
  ],
  [{ ...sod, rollout: { server: { url: 'http://y' } } }, /^r\.yaml: rollout\.server\.weights: .*missing$/],
  [
    { ...sod, rollout: { server: { url: 'gpu-7', weights: 'w' } } },
    /^r\.yaml: rollout\.server\.url: must be the address/,
  ],
  [
    { ...sod, rollout: { server: { url: 'http://me:secret@y', weights: 'w' } } },
    /^r\.yaml: rollout\.server\.url: must hold no key, password or query, as runs keep it: give it in SOD_API_KEY$/,
  ],
  [
    { ...sod, engine: { kind: 'tinker', url: 'http://x?key=secret' } },
    /^r\.yaml: engine\.url: must hold no key, password or query, as runs keep it: give it in TINKER_API_KEY$/,
  ],
  [{ ...sod, engine: { thread: 2 } }, /^r\.yaml: engine: unknown key 'thread', did you mean 'threads'\?/],
  [{ ...sod, loss: { dualClip: 'none' } }, /^r\.yaml: loss\.dualClip: expected a number >1, or off$/],
  [
    { ...sod, optimizer: { learningrate: 1 } },
    /^r\.yaml: optimizer: unknown key 'learningrate', did you mean 'learningRate'\? Allowed: learningRate, /,
  ],
  [{ ...sod, sod: { delta: -1 } }, /^r\.yaml: sod\.delta: .*>=0/],
  [{ ...sod, rollout: { groupSize: 'many' } }, /^r\.yaml: rollout\.groupSize: expected number, received string$/],
  [
    { ...sod, optimizer: { schedule: 'cosin' } },
    /^r\.yaml: optimizer\.schedule: expected one of "constant"\|"cosine"\|"linear"$/,
  ],
  [{ ...sod, teecher: 'x' }, /unknown key 'teecher', did you mean 'teacher'\?/],
  [{ method: 'sft', model: 'x', rollout: {} }, /^r\.yaml: unknown key 'rollout'/],
  [
    { method: 'sod', model: 'x' },
    /^r\.yaml: teacher: must be the teacher's checkpoint folder, or the address of a server$/,
  ],
  [
    { method: 'sid' },
    /^r\.yaml: method: 'sid' is unknown, did you mean 'sod'\? Allowed: sft, grpo, opd, naive-opd, opsd-gt, opsd-hint, sod, or the path of a module$/,
  ],
  [{ method: 'opsd-gt', model: 'x', teacher: 'y' }, /^r\.yaml: unknown key 'teacher'/],
  [{}, /^r\.yaml: method: is required\. Allowed:/],
  [null, /method: is required/],
  [{ ...sod, rollout: { ahead: 2 } }, /^r\.yaml: rollout\.ahead: expected 0 or 1$/],
  [{ ...sod, rollout: 3 }, /^r\.yaml: rollout: must be a section with the keys groupSize, /],
  [{ ...sod, model: undefined }, /either model .* or init/],
  [{ ...sod, init: { hiddenSize: 8 } }, /^r\.yaml: init\.intermediateSize: expected number, but it is missing$/],
  [{ ...sod, training: { promptsPerIteration: 10, promptsPerUpdate: 4 } }, /must be a multiple/],
])('one line says what is wrong: %j', (input, expected) => {
  expect(message(input)).toMatch(expected);
  expect(message(input)).not.toContain('\n');
});
