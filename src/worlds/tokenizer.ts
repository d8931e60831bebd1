/** A tokenizer of its own for a world whose models are too small for a large vocabulary; in all else it is Qwen3's. */
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import type { Task } from '../data/task.ts';
import { UserError } from '../errors.ts';
import { writeFileWhole } from '../files.ts';
import { Random } from '../random.ts';
import type { Message, ToolSchema } from '../text/message.ts';
import { toolSchema } from '../tools/schema.ts';
import { closeTools } from '../tools/tool.ts';
import { trainBpe } from './bpe.ts';
import { CHAT_TEMPLATE } from './chatTemplate.ts';
import { CONTROL_TOKEN_COUNT, plainText, tokenizerFiles, wordsOf } from './qwen3Format.ts';
import type { World } from './world.ts';

export const defaultVocabulary = 1000;

export interface TokenizerOptions {
  /** Most entries in all: bytes, learned tokens, control tokens and phrases. Default: `defaultVocabulary`. */
  size?: number;
  /** Demonstrations of training tasks to learn from. Default 200. */
  demonstrations?: number;
}

/** Words are put together as long as that is used this often in a hundred demonstrations: names are not learned by heart. */
const USES_PER_HUNDRED = 5;

/** Lines of fewer words are not worth a token. */
const PHRASE_WORDS = 3;

/**
 * Writes tokenizer.json, tokenizer_config.json (with the chat template) and generation_config.json into the folder
 * `dir`, learned from the demonstrations of `world`, and returns the vocabulary's size. Same world, same files.
 *
 * Each line that all prompts share, such as the tools and how to call them, is one token: it tells a model of this world
 * alone nothing, and every sequence would pay for its length.
 * @throws UserError if the world has no expert.
 */
export async function writeTokenizer(
  dir: string,
  world: World,
  { size = defaultVocabulary, demonstrations = 200 }: TokenizerOptions = {},
): Promise<{ vocabularySize: number }> {
  if (!world.demonstrate) throw new UserError(`world ${world.name} has no expert to learn a tokenizer from`);
  const tasks = Array.from({ length: demonstrations }, (_, index) => world.task('train', index));
  const tools = await schemas(world, tasks[0]);
  const phrases = sharedLines(tasks.map(task => render(task.messages, tools)));

  const words = new Map<string, number>();
  for (const [index, task] of tasks.entries()) {
    const messages = await world.demonstrate(task, Random.of('tokenizer', index));
    const dialogue = render([...task.messages, ...messages], tools);
    for (const word of plainText(dialogue, phrases).flatMap(wordsOf)) words.set(word, (words.get(word) ?? 0) + 1);
  }
  const bpe = trainBpe(words, {
    size: size - CONTROL_TOKEN_COUNT - phrases.length,
    minCount: Math.ceil((USES_PER_HUNDRED * demonstrations) / 100),
  });
  const { files, vocabularySize } = tokenizerFiles(bpe, phrases);
  for (const [name, content] of Object.entries(files)) {
    writeFileWhole(join(dir, name), `${JSON.stringify(content, null, 2)}\n`);
  }
  return { vocabularySize };
}

function sharedLines(prompts: readonly string[]): string[] {
  const linesOf = (prompt: string) => plainText(prompt).flatMap(text => text.match(/[^\n]+\n*/g) ?? []);
  const [first, ...others] = prompts.map(prompt => new Set(linesOf(prompt)));
  return [...first].filter(line => wordsOf(line).length >= PHRASE_WORDS && others.every(lines => lines.has(line)));
}

const template = new Template(CHAT_TEMPLATE);

function render(messages: readonly Message[], tools: readonly ToolSchema[]): string {
  return template.render({
    messages: messages.map(message =>
      message.role === 'assistant' ? { ...message, tool_calls: message.toolCalls } : message,
    ),
    tools: tools.map(tool => ({ type: 'function', function: tool })),
    add_generation_prompt: false,
  });
}

async function schemas(world: World, task: Task): Promise<ToolSchema[]> {
  const tools = world.tools(task);
  await closeTools(tools);
  return tools.map(toolSchema);
}
