import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecipeInput } from '../../src/train/recipe.ts';

/** A world in which to come to an end is all that is asked: a model that knows nothing learns it in a few updates. */
const world = `export default () => ({
  name: 'short-answers',
  task: (split, index) => ({
    id: \`\${split}/\${index}\`,
    messages: [{ role: 'user', content: \`Say something short, \${index}.\` }],
    answer: '',
  }),
  tools: () => [],
  judge: (task, answer) => ({ score: answer ? 1 : -1, correct: answer !== '' }),
});
`;

/** A run that learns it and is measured on the way; its world is written into `folder`. */
export function shortAnswersRun(folder: string, models: { student: string; teacher: string }) {
  const path = join(folder, 'shortAnswers.mjs');
  writeFileSync(path, world);
  return {
    method: 'sod',
    sod: { lambda: 0.05 },
    model: models.student,
    teacher: models.teacher,
    world: path,
    engine: { threads: 1 },
    rollout: { groupSize: 4, maxResponseTokens: 24, maxTurns: 2 },
    training: { iterations: 8, promptsPerIteration: 4, promptsPerUpdate: 2 },
    optimizer: { learningRate: 1e-2 },
    save: { every: 2 },
    evaluate: { every: 2, tasks: 8, samples: 4 },
  } satisfies RecipeInput;
}
