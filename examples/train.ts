/**
 * Trains an agent on tools of one's own, from nothing: a teacher and a student a third of its size learn from an expert, then
 * the student practises, and each step of its attempts is scored by the teacher (SOD). Prints how good each became.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluateCheckpoint, LocalEngine, type Metrics, openWorld, parseRecipe, type RecipeInput, train } from 'sod';

const out = 'runs/office';
const world = fileURLToPath(new URL('office/world.ts', import.meta.url));

/** Runs one recipe to its end and returns the trained model's folder; what an earlier run finished is kept. */
async function stage(name: string, input: RecipeInput): Promise<string> {
  const runDir = join(out, name);
  const interrupt = new AbortController();
  const stop = () => interrupt.abort();
  process.once('SIGINT', stop);
  const { finished, checkpoint } = await train(parseRecipe(input), {
    runDir,
    resume: existsSync(join(runDir, 'recipe.yaml')),
    signal: interrupt.signal,
    onProgress: event => event.kind === 'iteration' && report(name, event.metrics, event.iterations),
  });
  process.off('SIGINT', stop);
  if (!finished) {
    console.error('Stopped; the same command goes on.');
    process.exit(130);
  }
  return checkpoint;
}

/** Ten lines a stage. */
function report(name: string, metrics: Metrics, iterations: number): void {
  const { iteration } = metrics;
  if (iteration % Math.ceil(iterations / 10) > 0 && iteration < iterations) return;
  const measure = 'reward' in metrics ? 'reward' : 'loss';
  console.error(`${name}: ${iteration} of ${iterations}, ${measure} ${Number(metrics[measure]).toFixed(3)}`);
}

const shape = { intermediateSize: 256, heads: 4, kvHeads: 2, headDim: 32 };
const optimizer = { learningRate: 3e-3, warmup: 0.1 };

const teacher = await stage('teacher', {
  method: 'sft',
  world,
  init: { ...shape, hiddenSize: 128, layers: 3 },
  training: { demonstrations: 1600, epochs: 2, batchSize: 32 },
  optimizer,
});
const student = await stage('student-sft', {
  method: 'sft',
  world,
  init: { ...shape, hiddenSize: 64, layers: 2 },
  training: { demonstrations: 160, epochs: 14, batchSize: 16 },
  optimizer,
});
const distilled = await stage('student-sod', {
  method: 'sod',
  world,
  model: student,
  teacher,
  sod: { epsilon: 0.05 },
  rollout: { groupSize: 8, maxTurns: 8, maxPromptTokens: 256, maxResponseTokens: 256 },
  training: { firstTask: 160, iterations: 20, promptsPerIteration: 16, promptsPerUpdate: 4 },
  optimizer: { learningRate: 5e-4, betas: [0.9, 0.95] },
  reward: { overlongBuffer: 64 },
});

const settings = { tasks: 128, k: 4, temperature: 1, topP: 0.6, maxTurns: 8, maxResponseTokens: 256, seed: 0 };
const opened = await openWorld(world);
const engine = await LocalEngine.start();
const models = { teacher, 'student, SFT': student, 'student, SOD': distilled };
for (const [name, checkpoint] of Object.entries(models)) {
  const { average, diagnostics } = await evaluateCheckpoint(engine, checkpoint, opened.world, settings);
  const percent = (fraction: number) => (100 * fraction).toFixed(1).padStart(5);
  console.log(
    `${name.padEnd(12)}  average@4 ${percent(average)}   tool success ${percent(diagnostics.toolSuccessRate)}`,
  );
}
await engine.close();
await opened.close();
