import type { Vocabulary } from './vocabulary.ts';

/** What a model thinks before it speaks stands between these, where its tokenizer has them as control tokens. */
export const THINK = '<think>';
export const SPEAK = '</think>';

/** Whether the prompt of a turn has begun its thought, or leaves it open whether it begins with one. */
export type ThoughtStart = 'begun' | 'possible';

/**
 * How the turn behind a prompt may begin: not with a thought where the template has closed an empty one, or the model has no
 * token for it.
 */
export function thoughtStart(
  prompt: readonly number[],
  stopTokens: readonly number[],
  vocabulary: Vocabulary,
): ThoughtStart | undefined {
  const [open, close] = [THINK, SPEAK].map(marker => vocabulary.controlId(marker));
  if (open === undefined || close === undefined) return undefined;
  const turn = prompt.slice(prompt.findLastIndex(token => stopTokens.includes(token)) + 1);
  const mark = turn.findLast(token => token === open || token === close);
  return mark === undefined ? 'possible' : mark === open ? 'begun' : undefined;
}

/** What a turn says, and what was thought before it. */
export interface WrittenTurn {
  reasoning?: string;
  content: string;
}

/**
 * Takes a written thought off the beginning of a turn's text.
 * @param apart the thought, where it is written beside the text
 * @returns what is wrong, where the markers stand for no thought
 */
export function readThought(text: string, apart = ''): WrittenTurn | string {
  const [, written = '', content = text] = /^\s*<think>(.*?)<\/think>\s*(.*)$/s.exec(text) ?? [];
  const thoughts = [written, apart].map(thought => thought.trim()).filter(Boolean);
  const isOne =
    thoughts.length < 2 && ![...thoughts, content].some(part => part.includes(THINK) || part.includes(SPEAK));
  if (!isOne) return `${THINK} and ${SPEAK} stand for a thought: there can be one, at the beginning of what is said`;
  return { ...(thoughts.length > 0 && { reasoning: thoughts[0] }), content };
}
