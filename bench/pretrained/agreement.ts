/**
 * SmolLM2 from its GGUF file says here what it says in llama.cpp with the same weights in float32: `npm run bench:smollm2`. The
 * same tokens of texts, the same greedy tokens up to the first place where the two best differ by less than 0.001, and an answer.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { writeGguf } from '../../src/gguf/write.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { installLlama } from '../engine/install.ts';
import { smollm2 } from './smollm2.ts';

const steps = 64;
/** In nats. */
const tie = 1e-3;
const questions = [
  'What is the capital of France?',
  'Write a short poem about the sea.',
  'How do I sort a list of numbers in Python?',
  'Explain why the sky is blue to a child.',
];
const texts = [
  ...questions,
  ' 12345 + 67.8 = ?\n\n\tdef f(x):\n\t\treturn x**2  # “ok”',
  'Grüße aus 東京 😀👩‍👩‍👧 — naïve\u00a0…',
  "it's WE'RE don't  I'll\r\n\r\n   spaces   \n",
];

const file = smollm2();
const expanded = join(file, '../f32.gguf');
const checkpoint = readCheckpoint(file);
await writeGguf(expanded, checkpoint, { type: 'f32', name: 'SmolLM2' });
checkpoint.close();

const chat = loadChat(file);
const prompts = questions.map(content => chat.prompt([{ role: 'user', content }], []));
const engine = await LocalEngine.start({ dtype: 'f32', cacheBytes: 1 << 28 });
const sampler = await engine.sampler(file);
const own = await Promise.all(
  prompts.map(prompt => sampler.generate(prompt, { maxTokens: steps, temperature: 0, alternatives: 2 })),
);
await engine.close();

installLlama();
const program = fileURLToPath(new URL('../engine/peers/llamaAgreement.js', import.meta.url));
const request = { gguf: expanded, texts, sequences: [], prompts, steps };
const [theirs] = JSON.parse(
  execFileSync(process.execPath, [program], {
    input: JSON.stringify([request]),
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['pipe', 'pipe', 'ignore'],
  }),
);

let failed = false;
const check = (what: string, isRight: boolean) => {
  console.log(`${isRight ? 'ok    ' : 'WRONG '} ${what}`);
  failed ||= !isRight;
};
for (const [i, text] of texts.entries()) {
  check(`the same tokens of ${JSON.stringify(text)}`, `${chat.encode(text)}` === `${theirs.cut[i]}`);
}
for (const [i, { tokens, alternatives }] of own.entries()) {
  const greedy: number[] = theirs.greedy[i];
  const other = tokens.findIndex((token, at) => token !== greedy[at]);
  const near = alternatives!.findIndex(([first, second]) => first.logprob - second.logprob < tie);
  const same = other < 0 ? steps : other;
  check(`${same} of ${steps} greedy tokens: ${questions[i]}`, same === steps || (near >= 0 && near <= other));
}
const { stdout } = spawnSync(
  process.execPath,
  [fileURLToPath(new URL('../../dist/cli.js', import.meta.url)), 'chat', file, '--temperature', '0'],
  { input: `${questions[0]}\n`, encoding: 'utf8' },
);
check('sod chat: the capital of France is Paris', stdout.includes('Paris'));
process.exitCode = failed ? 1 : 0;
