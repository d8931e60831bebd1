import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { contentOf, outFolder, smallCommands, writeSmallInputs } from '../../bench/smallCommands.ts';
import { formatRecipe, parseRecipe, type RecipeInput } from '../../src/train/recipe.ts';
import { readMetrics } from '../../src/train/runDirectory.ts';
import { train } from '../../src/train/train.ts';
import { cli } from '../cli.ts';
import { shortAnswersRun } from './shortAnswers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-resume-'));
const inputs = join(folder, 'inputs');
const models = await writeSmallInputs(inputs);

const sft: RecipeInput = {
  method: 'sft',
  model: models.student,
  engine: { threads: 1 },
  training: { demonstrations: 16, epochs: 3, batchSize: 4 },
  optimizer: { learningRate: 1e-3 },
  save: { every: 2 },
  evaluate: { every: 4, benchmark: `one=${join(inputs, 'one.jsonl')}`, samples: 1, maxResponseTokens: 24 },
};
const sod = shortAnswersRun(folder, models);

const recipes: [string, RecipeInput, string][] = [
  ['sft', sft, 'model.safetensors'],
  ['sod', sod, 'model.safetensors'],
  ['sod-lora', { ...sod, teacher: models.student, lora: { rank: 4 } } as RecipeInput, 'adapter_model.safetensors'],
];

test.each(recipes)(
  '%s, killed or stopped and resumed, ends with the weights of an undisturbed run',
  async (name, input, weights) => {
    const recipe = parseRecipe(input);
    const file = join(folder, `${name}.yaml`);
    writeFileSync(file, formatRecipe(recipe));
    const undisturbed = await train(recipe, { runDir: join(folder, `${name}-undisturbed`) });

    const run = join(folder, `${name}-killed`);
    await ended(await atIteration(3, run, sod('train', file, '--run', run)), 'SIGKILL');
    expect(existsSync(join(run, 'final'))).toBe(false);
    const { code, stdout } = await ended(await atIteration(5, run, sod('train', '--resume', run)), 'SIGINT');
    expect({ code, stdout }).toEqual({ code: 130, stdout: `Stopped. Go on with: sod train --resume ${run}\n` });
    await expect(train(parseRecipe({ ...input, seed: 9 }), { runDir: run, resume: true })).rejects.toThrow(
      'another recipe',
    );
    const notices: string[] = [];
    const [newest, before] = readdirSync(join(run, 'checkpoints')).sort().reverse();
    const { iteration } = JSON.parse(readFileSync(join(run, 'checkpoints', before, 'progress.json'), 'utf8'));
    rmSync(join(run, 'checkpoints', newest, 'optimizer/moments.safetensors'));
    const resumed = await train(recipe, {
      runDir: run,
      resume: true,
      onProgress: event => event.kind === 'notice' && notices.push(event.notice),
    });
    expect(notices).toContainEqual(
      expect.stringMatching(
        `^going back to iteration ${iteration}, for .*${newest}/.*the optimizer's state, is missing`,
      ),
    );

    const content = (path: string) => readFileSync(join(path, weights));
    expect(content(resumed.checkpoint).equals(content(undisturbed.checkpoint))).toBe(true);
    const [oldest] = readdirSync(join(run, 'checkpoints')).sort();
    expect(content(resumed.checkpoint).equals(content(join(run, 'checkpoints', oldest)))).toBe(false);
    expect(content(join(run, 'best')).equals(content(join(folder, `${name}-undisturbed/best`)))).toBe(true);
    expect(resumed.best!.evaluation).toEqual(undisturbed.best!.evaluation);
    expect(withoutSeconds(run)).toEqual(withoutSeconds(join(folder, `${name}-undisturbed`)));
    expect(readdirSync(join(run, 'trajectories'))).toEqual(
      readdirSync(join(folder, `${name}-undisturbed`, 'trajectories')),
    );
    expect(await train(recipe, { runDir: run, resume: true })).toMatchObject({ finished: true, alreadyFinished: true });

    function sod(...args: string[]) {
      return spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    }
  },
  180_000,
);

/** The process, once its run has logged an iteration. */
async function atIteration<P extends ChildProcess>(iteration: number, run: string, child: P): Promise<P> {
  while ((readMetrics(run).at(-1)?.iteration ?? 0) < iteration) {
    expect(child.exitCode).toBe(null);
    await setTimeout(2);
  }
  return child;
}

async function ended(child: ChildProcess, signal: NodeJS.Signals) {
  let stdout = '';
  child.stdout!.on('data', data => {
    stdout += data;
  });
  // It may have ended by itself.
  if (!child.kill(signal)) return { code: child.exitCode, stdout };
  const code = await new Promise(resolve => child.on('close', resolve));
  return { code, stdout };
}

function withoutSeconds(run: string) {
  return readMetrics(run).map(({ seconds: _, ...rest }) => rest);
}

test.each(['eval', 'compare'] as const)(
  '%s, killed at a random moment, leaves the same files in the end',
  async command => {
    const giveIn = (name: string) => {
      const cwd = join(folder, name);
      if (!existsSync(cwd)) cpSync(inputs, cwd, { recursive: true });
      return spawn(process.execPath, [cli, ...smallCommands[command](cwd)], { cwd, stdio: 'pipe' });
    };
    const start = performance.now();
    await finished(giveIn(`${command}-undisturbed`));
    const duration = performance.now() - start;

    const child = giveIn(`${command}-killed`);
    while (child.exitCode === null && !existsSync(join(folder, `${command}-killed`, outFolder))) await setTimeout(2);
    await setTimeout((Math.random() * duration) / 2);
    await ended(child, 'SIGKILL');
    await finished(giveIn(`${command}-killed`));
    expect(contentOf(join(folder, `${command}-killed`))).toEqual(contentOf(join(folder, `${command}-undisturbed`)));
  },
);

async function finished(child: ReturnType<typeof spawn>): Promise<void> {
  let stderr = '';
  child.stderr!.on('data', data => {
    stderr += data;
  });
  const code = await new Promise(resolve => child.on('close', resolve));
  expect(code, stderr).toBe(0);
}
