import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import type { TrainEvent } from '../../src/train/trainEvent.ts';
import { readIndex, readTrajectory } from '../../src/train/trajectoryFile.ts';
import { temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';
import { asciiCheckpoint } from '../text/checkpoints.ts';

const folder = temporaryFolder(afterAll);
const opening =
  "{% for m in messages %}{{ '<s>' + m.role + ' ' + m.content + '<e>' }}{% endfor %}{{ '<s>assistant ' }}";
const closed = "{% if enable_thinking is false %}{{ '<think></think>' }}{% endif %}";

/** A model that knows nothing, which has a token for each letter, and for thoughts where they are among its control tokens. */
async function modelWith(name: string, controls: string[], template: string): Promise<string> {
  const model = await writeTinyModel(join(folder, name), 1, { max_position_embeddings: 2048 });
  cpSync(asciiCheckpoint(controls, template), model, { recursive: true });
  return model;
}
const model = await modelWith('thinker', ['<e>', '<s>', '<think>', '</think>'], opening + closed);

const dataset = join(folder, 'demonstrations.jsonl');
const rows = Array.from({ length: 4 }, (_, i) => ({
  messages: [
    { role: 'user', content: `${i} + 1?` },
    { role: 'assistant', reasoning_content: 'One more.', content: `${i + 1}` },
  ],
}));
writeFileSync(dataset, rows.map(row => `${JSON.stringify(row)}\n`).join(''));

async function trained(input: object, name: string) {
  const notices: string[] = [];
  const runDir = join(folder, name);
  const recipe = parseRecipe({ model, engine: { threads: 1 }, ...input });
  const onProgress = (event: TrainEvent) => event.kind === 'notice' && notices.push(event.notice);
  const { metrics } = await train(recipe, { runDir, onProgress });
  return { metrics, notices, runDir };
}

test('thoughts of demonstrations are taught where thinking is on, and otherwise left out, which is said', async () => {
  const sft = {
    method: 'sft',
    datasets: [{ source: dataset }, { source: dataset }],
    training: { demonstrations: 8, epochs: 1, batchSize: 8 },
  } as const;
  const [on, off] = [await trained({ ...sft, thinking: 'on' }, 'sft-on'), await trained(sft, 'sft-off')];
  const told = 'left out: the thoughts in demonstrations; thinking: on in the recipe teaches them';
  expect(off.notices).toContain(told);
  expect(on.notices).not.toContain(told);
  const learned = ({ metrics }: typeof on) =>
    Object.values(metrics[0].sources as Record<string, { tokens: number }>).map(({ tokens }) => tokens);
  expect(learned(off)).toEqual([8, 8]); // a digit and the end of the turn, four times
  const thought = ['<think>', ...'\nOne more.\n', '</think>', '\n', '\n'];
  expect(learned(on)).toEqual([8, 8].map(tokens => tokens + 4 * thought.length));
});

test('a policy may think where thinking is on: its turns are not begun for it', async () => {
  const problems = join(folder, 'problems.jsonl');
  writeFileSync(problems, '{"prompt": "1 + 1?", "answer": "2"}\n');
  const prompts = async (thinking: 'on' | 'off') => {
    const { runDir } = await trained(
      {
        method: 'grpo',
        dataset: problems,
        prompts: { question: '{problem}' },
        rollout: { groupSize: 2, maxResponseTokens: 8 },
        training: { iterations: 1, promptsPerIteration: 1, promptsPerUpdate: 1 },
        thinking,
      },
      `grpo-${thinking}`,
    );
    const kept = join(runDir, 'trajectories');
    return readIndex(kept, 1).map(place => readTrajectory(kept, 1, place)!.prompt);
  };
  const ending = (text: RegExp) => Array(2).fill(expect.stringMatching(text));
  expect(await prompts('on')).toEqual(ending(/<s>user 1 \+ 1\?<e><s>assistant $/));
  expect(await prompts('off')).toEqual(ending(/<s>user 1 \+ 1\?<e><s>assistant <think><\/think>$/));
});

test('a model that has no tokens for thoughts is refused', async () => {
  const simple = await modelWith('simple', ['<e>', '<s>'], opening);
  const refused = trained({ method: 'sft', dataset, model: simple, thinking: 'on' }, 'refused');
  await expect(refused).rejects.toThrow(/this model does not think .*: set thinking to off$/);
});
