import { expect, test } from 'vitest';
import { parseRecipe } from '../../src/train/recipe.ts';

const parsed = (track: unknown) => parseRecipe({ method: 'sft', model: 'm', track }).track;

test('trackers are names, or say more', () => {
  const url = 'http://127.0.0.1:5000';
  expect(parsed(['tensorboard', { kind: 'mlflow', url }])).toEqual([
    { kind: 'tensorboard' },
    { kind: 'mlflow', url, experiment: 'sod' },
  ]);
  expect(parsed(['mlflow'])).toEqual([{ kind: 'mlflow', experiment: 'sod' }]);
  expect(parsed(undefined)).toBeUndefined();
});

test.each([
  [['wandb'], /track\.0.*: W&B reads the files of tensorboard: name that, and run `wandb sync`/],
  [[{ kind: 'wandb', project: 'x' }], /W&B reads the files of tensorboard/],
  [['jsonl'], /every run writes metrics\.jsonl: leave it out/],
  [['tensorbord'], /must be one of tensorboard, mlflow/],
  [['tensorboard', { kind: 'tensorboard' }], /names the same kind of tracker twice/],
  [
    [{ kind: 'mlflow', url: 'https://me:secret@host' }],
    /url: must hold no key, password or query, as runs keep it: give it in MLFLOW_TRACKING_TOKEN/,
  ],
  [[{ kind: 'mlflow', url: 'host' }], /url: must be the address of a server, such as http/],
  [[{ kind: 'mlflow', url: 'https://secret@host' }], /must hold no key/],
  [[{ kind: 'mlflow', uri: 'http://host' }], /unknown key 'uri', did you mean 'url'\?/],
])('%j is refused with what to do', (track, message) => {
  expect(() => parsed(track)).toThrow(message);
});
