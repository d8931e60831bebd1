import { expect, test } from 'vitest';
import { privilegedMessages } from '../../src/data/privileged.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { UserError } from '../../src/errors.ts';
import { scoreTrajectories } from '../../src/train/teacher.ts';
import { randomTokens, temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';
import { trajectory } from '../methods/trajectories.ts';

test('a teacher with a prompt of its own scores the same ids behind it, aligned with the trajectory', async () => {
  const engine = await LocalEngine.start({ dtype: 'f32' });
  try {
    const teacher = await engine.scorer(await writeTinyModel(temporaryFolder()));
    const tokens = randomTokens(12, 'trajectory');
    const mask = Uint8Array.of(0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1);
    const said = trajectory({ tokens, mask, logprobs: new Float32Array(12), promptTokens: 4 });

    const [plain] = await scoreTrajectories(teacher, [said], undefined, 2);
    const [same] = await scoreTrajectories(teacher, [said], tokens.slice(0, 4), 2);
    expect(same).toEqual(plain);

    const prompt = randomTokens(7, 'prompt');
    const [scores] = await scoreTrajectories(teacher, [said], prompt);
    const whole = { tokens: [...prompt, ...tokens.slice(4)], mask: Uint8Array.of(0, 0, 0, ...mask) };
    const [direct] = await teacher.score([whole]);
    expect(Array.from(scores.logprobs)).toEqual([0, 0, 0, 0, ...direct.logprobs.slice(7)]);
    expect(Array.from(scores.entropies!)).toEqual([0, 0, 0, 0, ...direct.entropies!.slice(7)]);
    expect(scores.logprobs).not.toEqual(plain.logprobs);
  } finally {
    await engine.close();
  }
});

test('only the last message shows what the teacher may see', () => {
  const messages = [
    { role: 'system' as const, content: 's' },
    { role: 'user' as const, content: 'How much?' },
  ];
  const task = { id: 't', messages, answer: '7', hint: 'add 3 and 4' };
  expect(privilegedMessages(task, 'answer')).toEqual([messages[0], { role: 'user', content: 'How much?\nAnswer: 7' }]);
  expect(privilegedMessages(task, 'hint')[1].content).toBe('How much?\nHint: add 3 and 4');
  expect(() => privilegedMessages({ ...task, hint: undefined }, 'hint')).toThrow(UserError);
  const tests = { inputs: ['1 2', '3 4'], outputs: ['3', '7'] };
  expect(privilegedMessages({ ...task, answer: '', tests }, 'answer')[1].content).toBe(
    'How much?\nTests:\nInput:\n1 2\nOutput:\n3\nInput:\n3 4\nOutput:\n7',
  );
});
