/** Commands that take seconds, to be killed and given again. Each is given in a folder of its own and writes into `out` there. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { merge } from '../src/train/overrides.ts';
import { holdsRun } from '../src/train/runDirectory.ts';
import { smallSodRun, writeSmallModels } from './smallSodRun.ts';

export const outFolder = 'out';

/** What is given in a folder, the first time and again after a kill. */
export const smallCommands: Record<'train' | 'ahead' | 'eval' | 'compare', (folder: string) => string[]> = {
  train: training('recipe.yaml'),
  ahead: training('ahead.yaml'),
  eval: () => [
    ...['eval', 'models/student', '--benchmark', 'one=one.jsonl,two=two.jsonl', '--out', outFolder],
    ...['--samples', '2', '--runs', '2', '--max-turns', '2', '--max-tokens', '24'],
  ],
  compare: () => ['compare', 'compare.yaml', '--out', outFolder],
};

function training(recipe: string) {
  return (folder: string) => {
    const resumes = holdsRun(join(folder, outFolder));
    return ['train', ...(resumes ? ['--resume', outFolder] : [recipe, '--run', outFolder])];
  };
}

export type SmallCommand = keyof typeof smallCommands;

/** Writes what the commands read into the folder that they are given in. @returns the folders of its models */
export async function writeSmallInputs(folder: string): Promise<{ student: string; teacher: string }> {
  mkdirSync(folder, { recursive: true });
  const written = await writeSmallModels(join(folder, 'models'));
  const write = (name: string, content: string) => writeFileSync(join(folder, name), content);
  // A run finds its models from the folder that the command is given in.
  const models = { student: 'models/student', teacher: 'models/teacher' };
  const evaluate = { every: 3, benchmark: 'one=one.jsonl', samples: 1, maxTurns: 2, maxResponseTokens: 24 };
  const run = { ...smallSodRun(models), evaluate };
  write('recipe.yaml', stringify(run));
  write('ahead.yaml', stringify(merge(run, { rollout: { ahead: 1 } })));

  const problems = (of: string) =>
    [1, 2, 3].map(n => JSON.stringify({ problem: `${of} ${n} plus ${n}?`, answer: String(2 * n) }));
  write('one.jsonl', `${problems('How much is').join('\n')}\n`);
  write('two.jsonl', `${problems('What gives').join('\n')}\n`);

  // Of a dataset: the expert of a world would need its interpreter.
  const dialogues = [1, 2, 3, 4].map(n => [`Say ${n}.`, `It is ${n}.`]);
  const rows = dialogues.map(([user, assistant]) => ({
    messages: [
      { role: 'user', content: user },
      { role: 'assistant', content: assistant },
    ],
  }));
  write('dialogues.jsonl', rows.map(row => `${JSON.stringify(row)}\n`).join(''));
  const training = { demonstrations: 4, epochs: 1, batchSize: 2 };
  const lessons = { method: 'sft', dataset: { source: 'dialogues.jsonl' }, training, save: { every: 1 } };
  write('student.yaml', stringify({ ...lessons, model: models.student }));
  write('teacher.yaml', stringify({ ...lessons, model: models.teacher }));
  write(
    'methods.yaml',
    stringify({
      rollout: { groupSize: 2, maxResponseTokens: 24, maxTurns: 2 },
      training: { iterations: 2, promptsPerIteration: 2, promptsPerUpdate: 1 },
      save: { every: 1 },
    }),
  );
  write(
    'compare.yaml',
    stringify({
      stages: { teacher: { recipe: 'teacher.yaml' }, student: { recipe: 'student.yaml' } },
      student: 'student',
      teacher: 'teacher',
      recipe: 'methods.yaml',
      seeds: [1],
      methods: { sod: { method: 'sod' } },
      eval: { tasks: 2, k: 1, temperature: 1, topP: 1, maxTurns: 2, maxResponseTokens: 24 },
    }),
  );
  return written;
}

/** Of each file in a folder its digest: equal where it does not matter when the file was written and in which folder. */
export function contentOf(folder: string): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const files = paths.filter(path => statSync(join(folder, path)).isFile() && !isOfOnePlace(path));
  return Object.fromEntries(files.map(path => [path, digest(readFileSync(join(folder, path)), path)]));
}

/** A run's recipe names the folder; a temporary file is what a kill may leave. */
function isOfOnePlace(path: string): boolean {
  return /(^|\/)recipe\.yaml$|\.tmp$/.test(path);
}

function digest(content: Buffer, path: string): string {
  const timeless = path.endsWith('metrics.jsonl') ? withoutSeconds(content.toString()) : content;
  return createHash('sha256').update(timeless).digest('hex');
}

function withoutSeconds(metrics: string): string {
  const lines = metrics.split('\n');
  return lines.map(line => line && JSON.stringify({ ...JSON.parse(line), seconds: undefined })).join('\n');
}
