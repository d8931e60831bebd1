/** Kinds of bad input: each makes one from whole inputs, by chance, and names the command that is given it. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { sodProgram } from '../../src/commands/program.ts';
import type { Random } from '../../src/random.ts';
import type { WholeInputs } from './whole.ts';

export interface Case {
  /** What follows `sod` on the command line. */
  args: string[];
  /** Whether it makes no sense, so that it has to be refused; other mutations may leave a whole input. */
  isNonsense: boolean;
}

/** Makes a case; `inputs` lie in the case's own folder and may be changed. */
export type Mutation = (random: Random, inputs: WholeInputs) => Case;

const refused = (...args: string[]): Case => ({ args, isNonsense: true });
const open = (...args: string[]): Case => ({ args, isNonsense: false });

/** Values that nobody expects, where any stands. */
const nasty: readonly unknown[] = [
  ...[null, true, -1, 0, 0.5, 1e308, 2 ** 31, 2 ** 53, 4_294_967_290, -1e-300, Number.NaN, Number.POSITIVE_INFINITY],
  ...['', 'x', '-1', '\u0000', '../..', '/', '\ud800', '__proto__', 'x'.repeat(5000)],
  ...[[], [[]], {}, { x: 1 }, [1, 'x'], nested(300)],
];

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

const nastyNumbers = ['-1', 'x', '1e999', '0x10', '', ' ', '1.5.2', 'NaN', 'Infinity', '99999999999999999999', '１'];

export const mutations: Record<string, Mutation> = {
  'a value of a recipe': (random, { recipe }) => {
    writeFileSync(recipe, stringify(withNasty(parse(readFileSync(recipe, 'utf8')), random)));
    return open('train', recipe, '--dry-run');
  },

  'an unknown key of a recipe': (random, { recipe }) => {
    const content = parse(readFileSync(recipe, 'utf8'));
    const section = random.pick([content, content.rollout, content.training, content.engine]);
    section[random.pick(['modell', 'constructor', '0', ''])] = 1;
    writeFileSync(recipe, random.pick([stringify(content), `${readFileSync(recipe, 'utf8')}__proto__: { x: 1 }\n`]));
    return refused('train', recipe, '--dry-run');
  },

  'sizes of a recipe that no machine has': (random, { recipe }) => {
    const key = random.pick([
      'engine.threads=1000000',
      'rollout.groupSize=1000000000',
      'training.promptsPerIteration=1e15',
      'optimizer.betas=[1,1]',
      'optimizer.learningRate=.inf',
      'training.tasks=1e12',
    ]);
    return refused('train', recipe, '--dry-run', '--set', key);
  },

  'a change of a recipe': (random, { recipe }) => {
    const key = random.pick(['seed', 'optimizer.learningRate', 'engine', 'a.b.c', '__proto__.x', 'model', 'method']);
    const value = random.pick([
      '{',
      '[',
      '"',
      '*x',
      '&a [*a]',
      '1',
      '-1',
      '.nan',
      '!!js x',
      '',
      'null',
      '{a: 1}',
      '- -',
    ]);
    return open('train', recipe, '--dry-run', '--set', `${key}=${value}`);
  },

  'bytes of a recipe': (random, { recipe }) => {
    scramble(random, recipe);
    return open('train', recipe, '--dry-run');
  },

  'YAML that grows': (random, { recipe }) => {
    const bomb = Array.from({ length: 12 }, (_, i) => `x${i}: &x${i} [${i ? `*x${i - 1},`.repeat(9) : '1'}]`).join(
      '\n',
    );
    writeFileSync(
      recipe,
      random.pick([bomb, '['.repeat(20_000), '{a: '.repeat(20_000), '- '.repeat(20_000), '&a [*a]']),
    );
    return refused('train', recipe, '--dry-run');
  },

  'a value of a comparison': (random, { comparison }) => {
    const content = withNasty(parse(readFileSync(comparison, 'utf8')), random) as Record<string, unknown>;
    writeFileSync(comparison, stringify(content));
    return refused('compare', comparison, '--only', 'nobody', '--out', join(dirname(comparison), 'compared'));
  },

  'an option that wants a number': random => {
    const options = sodProgram().commands.flatMap(command =>
      command.options.filter(({ parseArg }) => parseArg).map(option => ({ command, option })),
    );
    const { command, option } = random.pick(
      options.filter(({ option }) => !/name|license|only|set/.test(option.long!)),
    );
    const args = command.registeredArguments.filter(({ required }) => required).map(() => 'nowhere');
    const required = command.name() === 'collect' ? ['--out', 'nowhere.jsonl'] : [];
    return refused(command.name(), ...args, ...required, `${option.long}=${random.pick(nastyNumbers)}`);
  },

  'a model that is not one': (random, { recipe, problems, model }) => {
    const path = random.pick([
      'nowhere',
      recipe,
      problems,
      dirname(model),
      '/dev/null',
      '/dev/zero',
      'a\nb',
      '.',
      'hf:',
    ]);
    const command = random.pick(['eval', 'run', 'chat', 'serve', 'export', 'card']);
    return refused(command, path);
  },

  'a file that is not one': (random, inputs) => {
    const path = random.pick([inputs.model, '/dev/zero', 'nowhere', join(inputs.recipe, 'x'), 'x'.repeat(300), '/']);
    return random.pick([
      refused('train', path, '--dry-run'),
      refused('compare', path),
      refused('train', '--resume', path),
      refused('export', inputs.model, '--out', join(inputs.recipe, 'x.gguf')),
      refused('card', inputs.model, '--out', join(inputs.recipe, 'x', 'card.md')),
      refused('init', inputs.model),
      refused('eval', inputs.model, '--tasks', `${path}:1`),
    ]);
  },

  'a pipe in the place of a file': (random, inputs) => {
    const { model, gguf, recipe, comparison, problems, parquet } = inputs;
    const weights = join(model, 'model.safetensors');
    const path = random.pick([weights, join(model, 'config.json'), gguf, recipe, comparison, problems, parquet]);
    rmSync(path);
    execFileSync('mkfifo', [path]);
    if (path === recipe) return refused('train', recipe, '--dry-run');
    if (path === comparison) return refused('compare', comparison);
    if (path === problems || path === parquet) return refused('eval', model, '--benchmark', `x=${path}`);
    return refused('export', path === gguf ? gguf : model);
  },

  'a folder in the place of a file': (random, inputs) => {
    const name = random.pick(['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']);
    const path = join(inputs.model, name);
    rmSync(path);
    mkdirSync(path);
    return name.startsWith('tokenizer') ? refused('chat', inputs.model) : refused('card', inputs.model);
  },

  'a file of a model that is missing': (random, { model }) => {
    const name = random.pick(['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']);
    rmSync(join(model, name));
    return name.startsWith('tokenizer') ? refused('chat', model) : refused('card', model);
  },

  'a value of config.json': (random, { model }) => {
    const path = join(model, 'config.json');
    writeFileSync(path, JSON.stringify(withNasty(JSON.parse(readFileSync(path, 'utf8')), random)));
    return open('card', model);
  },

  'sizes of config.json that no weights have': (random, { model }) => {
    const path = join(model, 'config.json');
    const key = random.pick(['num_hidden_layers', 'hidden_size', 'vocab_size', 'head_dim', 'intermediate_size']);
    const value = random.pick([1e8, 2 ** 31, 2 ** 52, 64, -2, 1.5]);
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), [key]: value }));
    return refused(random.pick(['card', 'export']), model);
  },

  'what config.json asks for and is not computed': (random, { model }) => {
    const path = join(model, 'config.json');
    const wish = random.pick([
      { rope_scaling: { rope_type: 'dynamic', factor: 4 } },
      { rope_parameters: { full_attention: { rope_type: 'longrope', rope_theta: 1e4, factor: 2 } } },
      { rope_parameters: { rope_type: 'default', partial_rotary_factor: 0.5, rope_theta: 1e4 } },
      { rope_parameters: { full_attention: { rope_type: 'default' } }, rope_theta: undefined },
      { attention_bias: true },
      { use_sliding_window: true },
      { architectures: ['LlamaForCausalLM'] },
    ]);
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...wish }));
    return refused('card', model);
  },

  'bytes of the header of weights': (random, { model }) => {
    const path = join(model, 'model.safetensors');
    const header = Number(readFileSync(path).readBigUInt64LE()) + 8;
    poke(random, path, header);
    return open('card', model);
  },

  'weights that are cut or go on': (random, { model, gguf }) => {
    const path = random.pick([join(model, 'model.safetensors'), gguf]);
    const bytes = readFileSync(path);
    if (path === gguf) truncateSync(path, random.below(bytes.length - 64));
    else
      writeFileSync(path, random.pick([bytes.subarray(0, random.below(bytes.length)), Buffer.concat([bytes, bytes])]));
    return path === gguf ? refused('export', gguf, '--format', 'safetensors') : refused('export', model);
  },

  'weights that are no numbers': (random, { model }) => {
    const path = join(model, 'model.safetensors');
    const bytes = readFileSync(path);
    const start = Number(bytes.readBigUInt64LE()) + 8;
    const at = start + 4 * random.below((bytes.length - start) / 4);
    bytes.writeFloatLE(random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]), at);
    writeFileSync(path, bytes);
    return refused('export', model, '--type', random.pick(['f32', 'q8_0', 'bf16']));
  },

  'bytes of the header of a GGUF file': (random, { gguf, ggufHeaderBytes }) => {
    poke(random, gguf, ggufHeaderBytes);
    return open('export', gguf, '--format', 'safetensors', '--type', 'f32');
  },

  'a value of tokenizer.json': (random, { model }) => {
    const path = join(model, 'tokenizer.json');
    writeFileSync(path, JSON.stringify(withNasty(JSON.parse(readFileSync(path, 'utf8')), random)));
    return open('export', model);
  },

  'a tokenizer that contradicts itself': (random, { model }) => {
    const path = join(model, 'tokenizer.json');
    const json = JSON.parse(readFileSync(path, 'utf8'));
    const { vocab } = json.model;
    const token = random.pick(Object.keys(vocab));
    random.pick([
      () => (vocab[token] = random.pick([-1, '7', 1.5, null, 4_294_967_290, 2 ** 53, [1]])),
      () => (vocab.another = vocab[token]),
      () => (json.added_tokens[0].id = random.pick([-1, 'x', 4_294_967_290, vocab[token], 1e6])),
      () => json.model.merges.push(random.pick([[1, 2], 3, 'a', 'a b c', ['a'], [null, 'a'], 'nowhere here'])),
      () => (json.added_tokens[1].content = json.added_tokens[0].content),
      () => (json.model.type = 'WordPiece'),
    ])();
    writeFileSync(path, JSON.stringify(json));
    return refused('chat', model);
  },

  'bytes of a JSON file of a model': (random, { model }) => {
    scramble(
      random,
      join(model, random.pick(['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])),
    );
    return open('export', model);
  },

  'a chat template without end': (random, { model }) => {
    const body = random.pick([
      '{% for i in range(1000000000) %}x{% endfor %}',
      '{% for i in range(1000) %}{% for j in range(1000) %}{% for k in range(1000) %}{% endfor %}{% endfor %}{% endfor %}',
      '{% set ns = namespace(s="xx") %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}',
      '{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}',
      '{% macro f(n) %}{{ f(n - 1) }}{{ f(n - 1) }}{% endmacro %}{{ f(60) }}',
      '{{ raise_exception("no") }}',
      '{{ "x".nothing() }}',
      '{{ (((',
      '{% if %}',
      'no turns at all',
    ]);
    writeFileSync(join(model, 'chat_template.jinja'), body);
    return refused('chat', model);
  },

  'a row of a dataset': (random, { problems, model }) => {
    const row = random.pick([
      ...[
        '{',
        '[]',
        '1',
        'null',
        '"x"',
        '{"prompt": 1, "answer": "2"}',
        '{"prompt": "x"}',
        '{"prompt": [], "answer": "1"}',
      ],
      ...['{"prompt": "x", "answer": {}}', '\u0000', '{"prompt": "x", "answer": ""}', '['.repeat(100_000)],
    ]);
    writeFileSync(problems, `${readFileSync(problems, 'utf8')}${row}\n`);
    return refused('collect', model, '--dataset', problems, '--out', join(dirname(problems), 'collected.jsonl'));
  },

  'a file of data that is none': (random, { problems, model }) => {
    writeFileSync(
      problems,
      random.pick(['', '\n\n', 'PAR1', `PAR1${'x'.repeat(99)}PAR1`, '\u001f\u008b', '[{}]', 'x,y\n1,2\n']),
    );
    return refused('collect', model, '--dataset', problems, '--out', join(dirname(problems), 'collected.jsonl'));
  },

  'bytes of Parquet': (random, { parquet, model }) => {
    poke(random, parquet, readFileSync(parquet).length);
    const out = join(dirname(parquet), 'collected.jsonl');
    return open('collect', model, '--dataset', parquet, '--samples=1', '--max-tokens=2', '--max-turns=1', '--out', out);
  },

  'a world or tools that are none': (random, { model, recipe }) => {
    const module = join(dirname(recipe), 'mine.mjs');
    const body = random.pick([
      '{',
      'export default 1',
      'export default () => 1',
      'throw 1',
      'export default () => { throw 1 }',
      '',
    ]);
    writeFileSync(module, body);
    const name = random.pick([module, dirname(module), '/dev/zero', '__proto__', 'constructor', '']);
    return refused(
      ...random.pick([
        ['run', model, '--world', name],
        ['chat', model, '--tools', name || 'x'],
        ['init', 'new', '--world', name],
      ]),
    );
  },

  'a value of prompts': (random, { prompts, problems, model }) => {
    const content = { ...parse(readFileSync(prompts, 'utf8')), [random.pick(['math', 'maths'])]: random.pick(nasty) };
    writeFileSync(prompts, stringify(content));
    return refused(
      'eval',
      model,
      '--benchmark',
      `x=${problems}`,
      '--prompts',
      prompts,
      '--out',
      join(dirname(problems), 'out'),
    );
  },

  'sizes of a fresh model that no machine has': (random, { model }) => {
    const sizes = [
      '--hidden-size=1000000',
      '--intermediate-size=1000000',
      '--layers=1000',
      '--heads=4096',
      '--head-dim=4096',
    ];
    const size = random.pick([
      '--layers=100000000',
      '--head-dim=7',
      '--kv-heads=2',
      '--hidden-size=999999999',
      sizes.join(' '),
    ]);
    return refused('init', `${model}-fresh`, ...size.split(' '));
  },
};

/** A copy in which one value, wherever it stands, is another. */
function withNasty(content: unknown, random: Random): unknown {
  const places: [container: Record<string, unknown>, key: string][] = [];
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      places.push([value as Record<string, unknown>, key]);
      if (Object.keys(value).length < 100) visit(inner);
    }
  };
  const copy = structuredClone(content);
  visit(copy);
  const [container, key] = random.pick(places);
  container[key] = random.pick(nasty);
  return copy;
}

/** Changes a text: cuts, doubles or replaces a part. */
function scramble(random: Random, path: string): void {
  const bytes = readFileSync(path);
  const [from, length] = [random.below(bytes.length), 1 + random.below(20)];
  const middle = random.pick([
    Buffer.alloc(0),
    bytes.subarray(from, from + 2 * length),
    Buffer.from([random.below(256)]),
  ]);
  writeFileSync(path, Buffer.concat([bytes.subarray(0, from), middle, bytes.subarray(from + length)]));
}

/** Changes some bytes in the first `length`. */
function poke(random: Random, path: string, length: number): void {
  const fd = openSync(path, 'r+');
  for (let i = 0; i < 1 + random.below(3); i++) {
    const bytes = Buffer.from([random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)])]);
    writeSync(fd, bytes, 0, 1, random.below(length));
  }
  closeSync(fd);
}

/** Whole inputs at another place. */
export function copied(inputs: WholeInputs, from: string, to: string): WholeInputs {
  cpSync(from, to, { recursive: true });
  writeFileSync(join(to, 'recipe.yaml'), readFileSync(inputs.recipe, 'utf8').replaceAll(from, to));
  const moved = Object.entries(inputs).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.replace(from, to) : value,
  ]);
  return Object.fromEntries(moved) as WholeInputs;
}
