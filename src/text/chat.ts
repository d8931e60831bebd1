import type { TailFormat } from './callFormat.ts';
import type { Message, ToolSchema } from './message.ts';
import type { ThoughtStart } from './thought.ts';
import type { TurnReader, TurnReaderOptions } from './turnReader.ts';
import type { TurnContent } from './turnText.ts';

/** One sampled turn as the environment reads it. */
export interface ParsedTurn extends TurnContent {
  /** All of the turn's text, calls among it, without its end-of-turn token. */
  text: string;
}

/** Dialogue to tokens and back, for one tokenizer and its chat template. */
export interface Chat {
  /** Ids that end an assistant turn. */
  stopTokens: number[];
  /** How a turn may begin with a thought; undefined where it does not. */
  thought?: ThoughtStart;
  /** How a turn writes calls, where not in the Hermes format. */
  callFormat?: TailFormat;
  /** Everything up to where the model starts its first turn, generation prompt included. */
  prompt(messages: Message[], tools: ToolSchema[]): number[];
  /**
   * An assistant message as the model would have sampled it, end-of-turn token included: what SFT learns. A thought is left
   * out where a turn does not begin with one.
   */
  turn(message: Extract<Message, { role: 'assistant' }>): number[];
  /** What follows a sampled turn: the tools' answers as data, and the prompt for the next turn. */
  observation(...contents: string[]): number[];
  /** Tokens as text, control tokens shown. */
  decode(tokens: readonly number[]): string;
  /** Reads a turn while it is sampled. */
  reader(options?: Pick<TurnReaderOptions, 'stopStrings' | 'calls' | 'thought'>): TurnReader;
  /** Reads a sampled turn. */
  parse(tokens: readonly number[]): ParsedTurn;
  /** Text as plain data: whatever it spells, no control token. */
  encode(text: string): number[];
}
