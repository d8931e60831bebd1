import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { isGguf } from '../gguf/header.ts';
import { readGgufTokenizer } from '../gguf/tokenizer.ts';

const preTokenizer = z.looseObject({ prepend_scheme: z.string().optional() });

const tokenizerJson = z.looseObject({
  added_tokens: z.array(
    z.looseObject({ id: z.int().nonnegative(), content: z.string().min(1), special: z.boolean().optional() }),
  ),
  pre_tokenizer: preTokenizer.extend({ pretokenizers: z.array(preTokenizer).optional() }).nullable(),
  model: z.looseObject({
    type: z.literal('BPE'),
    // Hundreds of thousands of entries: their kind is checked, each of them is not.
    vocab: z.custom<Record<string, number>>(isObject, 'expected an object of tokens and ids'),
    merges: z.custom<(string | string[])[]>(Array.isArray, 'expected an array of pairs'),
    unk_token: z.string().nullish(),
  }),
  decoder: z.unknown(),
});

const specialToken = z
  .union([z.string(), z.looseObject({ content: z.string() })])
  .nullish()
  .transform(token => (typeof token === 'object' ? token?.content : token));

const tokenizerConfig = z.looseObject({
  bos_token: specialToken,
  eos_token: specialToken,
  pad_token: specialToken,
  unk_token: specialToken,
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
});

export type TokenizerJson = z.infer<typeof tokenizerJson>;
export type TokenizerConfig = z.infer<typeof tokenizerConfig>;

/** Whether an added token is control: special, or it looks like markup (`<think>`, `[INST]`). */
export function isControl(token: { content: string; special?: boolean }): boolean {
  return token.special === true || /^[<[{|].*[>\]}|]$/su.test(token.content);
}

/** What a checkpoint folder says about text. */
export interface CheckpointFiles {
  tokenizer: TokenizerJson;
  tokenizerPath: string;
  config: TokenizerConfig;
  template: string;
  /** The file the template came from. */
  templatePath: string;
}

/** Reads a checkpoint folder's `tokenizer.json`. Throws a UserError if it is missing or damaged. */
export function readTokenizer(dir: string): TokenizerJson {
  if (isGguf(dir)) return readGgufTokenizer(dir).tokenizer;
  return readJson(join(dir, 'tokenizer.json'), tokenizerJson);
}

/**
 * Reads `tokenizer.json`, `tokenizer_config.json` and the chat template from a Hugging Face checkpoint folder.
 * `chat_template.jinja` goes before the configuration's template, and among named templates `tool_use` before `default`.
 * Throws a UserError that names the file that is missing or damaged.
 */
export function readCheckpointFiles(dir: string): CheckpointFiles {
  if (isGguf(dir)) return ggufFiles(dir);
  const tokenizerPath = join(dir, 'tokenizer.json');
  const configPath = join(dir, 'tokenizer_config.json');
  const tokenizer = readTokenizer(dir);
  const config = readJson(configPath, tokenizerConfig);

  const jinjaPath = join(dir, 'chat_template.jinja');
  if (existsSync(jinjaPath)) {
    return { tokenizer, tokenizerPath, config, template: readFileSync(jinjaPath, 'utf8'), templatePath: jinjaPath };
  }
  const template = chosenTemplate(config.chat_template);
  if (template === undefined) {
    throw new UserError(
      `${configPath} has no chat_template and there is no chat_template.jinja beside it: ` +
        'take an instruction-tuned checkpoint, or put the template of its family there',
    );
  }
  return { tokenizer, tokenizerPath, config, template, templatePath: configPath };
}

function ggufFiles(path: string): CheckpointFiles {
  const { tokenizer, config } = readGgufTokenizer(path);
  const template = chosenTemplate(config.chat_template);
  if (template === undefined) throw new UserError(`${path} has no chat template: take an instruction-tuned model`);
  return { tokenizer, tokenizerPath: path, config, template, templatePath: path };
}

function chosenTemplate(templates: TokenizerConfig['chat_template']): string | undefined {
  if (!Array.isArray(templates)) return templates ?? undefined;
  const named = (name: string) => templates.find(candidate => candidate.name === name)?.template;
  return named('tool_use') ?? named('default');
}

function readJson<T>(path: string, schema: z.ZodType<T>): T {
  if (!existsSync(path)) {
    throw new UserError(
      `${path} is missing: download tokenizer.json, tokenizer_config.json and, where there is one, chat_template.jinja of the checkpoint into this folder`,
    );
  }
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(`${path} cannot be read as JSON (${(error as Error).message}): download it again`);
  }
  const result = schema.safeParse(content);
  if (result.success) return result.data;
  const { path: field, message } = result.error.issues[0];
  throw new UserError(
    `${path}: ${field.join('.') || 'content'}: ${message}; a BPE tokenizer in Hugging Face's format is wanted`,
  );
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
