import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, readText } from '../documents.ts';
import { UserError } from '../errors.ts';
import { isGguf } from '../gguf/header.ts';
import { readGgufTokenizer } from '../gguf/tokenizer.ts';
import { endTokens } from '../model/config.ts';
import { firstIssue } from '../schema.ts';
import { withTools } from '../text/hermesTemplate.ts';
import { type TokenizerConfig, tokenizerConfig } from '../text/tokenizerConfig.ts';
import { parseTokenizer, type TokenizerJson, vocabularySize } from '../text/tokenizerJson.ts';
import { tokenizerHome, wholeModel } from './adapter.ts';

/** `config.json` and `generation_config.json`, as far as they speak of tokens. */
const tokensOfModel = z.looseObject({ vocab_size: z.int().positive().optional(), eos_token_id: endTokens });

/** What a checkpoint folder says about text. */
export interface CheckpointFiles {
  tokenizer: TokenizerJson;
  tokenizerPath: string;
  config: TokenizerConfig;
  /** Ids of all tokens that end what the model says, as the model's own files name them. */
  endTokenIds: number[];
  /** Knows tools, be it by what `withTools` puts before it. */
  template: string;
  /** The file the template came from. */
  templatePath: string;
}

/** Reads a checkpoint folder's `tokenizer.json`. Throws a UserError if it is missing or damaged. */
export function readTokenizer(checkpoint: string): TokenizerJson {
  if (isGguf(checkpoint)) return readGgufTokenizer(checkpoint).tokenizer;
  const path = join(tokenizerHome(checkpoint), 'tokenizer.json');
  refuseMissing(path);
  return parseTokenizer(readJson(path), path);
}

/**
 * Reads `tokenizer.json`, `tokenizer_config.json` and the chat template from a Hugging Face checkpoint folder, and the end
 * tokens from `generation_config.json` and `config.json`.
 * `chat_template.jinja` goes before the configuration's template, and among named templates `tool_use` before `default`.
 * Throws a UserError that names the file that is missing or damaged.
 */
export function readCheckpointFiles(checkpoint: string): CheckpointFiles {
  if (isGguf(checkpoint)) return ggufFiles(checkpoint);
  const dir = tokenizerHome(checkpoint);
  const tokenizerPath = join(dir, 'tokenizer.json');
  const configPath = join(dir, 'tokenizer_config.json');
  const tokenizer = readTokenizer(dir);
  refuseMissing(configPath);
  const config = checked(configPath, tokenizerConfig);
  const read = { tokenizer, tokenizerPath, config, endTokenIds: endTokenIds(dir, tokenizer) };

  const jinjaPath = join(dir, 'chat_template.jinja');
  if (existsSync(jinjaPath))
    return { ...read, template: withTools(readText(jinjaPath), tokenizer), templatePath: jinjaPath };
  const template = chosenTemplate(config.chat_template);
  if (template === undefined) {
    throw new UserError(
      `${configPath} has no chat_template and there is no chat_template.jinja beside it: ` +
        'take an instruction-tuned checkpoint, or put the template of its family there',
    );
  }
  return { ...read, template: withTools(template, tokenizer), templatePath: configPath };
}

/** @throws UserError where the tokenizer has more ids than the model. */
function endTokenIds(dir: string, tokenizer: TokenizerJson): number[] {
  const model = wholeModel(dir);
  if (isGguf(model)) return readGgufTokenizer(model).endTokenIds;
  const paths = [join(dir, 'generation_config.json'), join(model, 'config.json')].filter(path => existsSync(path));
  const files = paths.map(path => checked(path, tokensOfModel));
  const size = vocabularySize(tokenizer);
  for (const [i, { vocab_size: rows = size }] of files.entries()) {
    if (size <= rows) continue;
    throw new UserError(
      `${join(dir, 'tokenizer.json')} has ids up to ${size - 1}, and the model of ${paths[i]} only ${rows} tokens: take both from one checkpoint`,
    );
  }
  return files.flatMap(({ eos_token_id: ids }) => ids);
}

function ggufFiles(path: string): CheckpointFiles {
  const { tokenizer, config, endTokenIds } = readGgufTokenizer(path);
  const template = chosenTemplate(config.chat_template);
  if (template === undefined) throw new UserError(`${path} has no chat template: take an instruction-tuned model`);
  const source = { tokenizerPath: path, templatePath: path };
  return { tokenizer, config, endTokenIds, template: withTools(template, tokenizer), ...source };
}

function chosenTemplate(templates: TokenizerConfig['chat_template']): string | undefined {
  if (!Array.isArray(templates)) return templates ?? undefined;
  const named = (name: string) => templates.find(candidate => candidate.name === name)?.template;
  return named('tool_use') ?? named('default');
}

function refuseMissing(path: string): void {
  if (existsSync(path)) return;
  throw new UserError(
    `${path} is missing: download tokenizer.json, tokenizer_config.json and, where there is one, chat_template.jinja of the checkpoint into this folder`,
  );
}

function checked<T>(path: string, schema: z.ZodType<T>): T {
  const result = schema.safeParse(readJson(path));
  if (result.success) return result.data;
  throw new UserError(
    `${path}: ${firstIssue(result.error)}; a file of a checkpoint in Hugging Face's format is wanted`,
  );
}
