/**
 * lm-eval (PyPI) asks the same of a checkpoint through `sod serve` and through its own `hf` backend: `npm run bench:lm-eval`. Every
 * log-likelihood must be the same, and so must whether a text is what the model would have said.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { qwen3WeatherModel } from '../../test/serve/weatherModel.ts';
import { currentPython } from '../engine/install.ts';
import { startServer } from '../startServer.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'runs/bench/lm-eval');
/** In nats; both sides compute in float32, in other orders. */
const tolerance = 0.001;

mkdirSync(folder, { recursive: true });
process.env.TMPDIR = folder;
const python = currentPython();
const model = await qwen3WeatherModel();

/** Among them texts at whose end the model says no more: what is sampled behind them is the end of the turn. */
const beginnings = ['', 'Let me see.', 'Rome is', '12 °C in', 'Hello! 😀', 'Nothing but how'];
const turns = ['How warm is it in Oslo?', 'Compare Oslo and Rome.', 'Say hello.', 'What do you know of Rome?'];
const questions = turns.flatMap(turn =>
  beginnings.map(said => `<|im_start|>user\n${turn}<|im_end|>\n<|im_start|>assistant\n${said}`),
);
const choices = ['Hello! 😀 How are you?', ' warmer.', ' Oslo 😀', ' it is.'];
const documents = join(folder, 'questions.jsonl');
writeFileSync(documents, questions.map(question => `${JSON.stringify({ question })}\n`).join(''));
const task = {
  task: 'questions',
  dataset_path: 'json',
  dataset_kwargs: { data_files: { test: documents } },
  test_split: 'test',
  output_type: 'multiple_choice',
  doc_to_text: '{{question}}',
  doc_to_choice: choices,
  doc_to_target: 0,
  target_delimiter: '',
};

type Likelihood = [value: number, greedy: boolean];

function ask(backend: string, args: string): Likelihood[] {
  const said = execFileSync(python, [fileURLToPath(new URL('lm_eval_likelihoods.py', import.meta.url))], {
    input: JSON.stringify({ model: backend, arguments: args, task }),
    encoding: 'utf8',
    env: { ...process.env, HF_HUB_OFFLINE: '1', HF_HOME: join(folder, 'cache'), OPENAI_API_KEY: 'none' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return JSON.parse(said);
}

const { server, url } = await startServer(model, '--name', 'weather', '--dtype', 'f32');

const served = ask('local-completions', `model=weather,base_url=${url}/v1/completions,tokenizer=${model}`);
const own = ask('hf', `pretrained=${model},dtype=float32,device=cpu`);
const differences = own.map(([value], i) => Math.abs(value - served[i][0]));
const different = own.filter(([, greedy], i) => differences[i] > tolerance || greedy !== served[i][1]).length;
console.log(
  `${own.length} log-likelihoods, ${own.filter(([, greedy]) => greedy).length} of them of what the model would say: ` +
    `${different} differ; the largest difference is ${Math.max(...differences).toExponential(1)}`,
);
server.kill('SIGTERM');
process.exitCode = different > 0 || own.length !== served.length ? 1 : 0;
