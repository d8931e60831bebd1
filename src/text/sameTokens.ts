import { readTokenizer } from '../checkpoint/textFiles.ts';
import { UserError } from '../errors.ts';
import type { TokenizerJson } from './tokenizerJson.ts';

/**
 * A teacher scores the student's token ids: whatever the student can say must have the same id there. More tokens are no harm.
 * @throws UserError where the checkpoint folders disagree on a token.
 */
export function refuseOtherTokens(student: string, teacher: string): void {
  const known = tokenIds(readTokenizer(teacher));
  for (const [token, id] of tokenIds(readTokenizer(student))) {
    if (known.get(token) === id) continue;
    const there = known.has(token) ? `it is ${known.get(token)}` : 'there is none';
    throw new UserError(
      `${teacher} has another tokenizer than ${student}: '${token}' is token ${id}, where ${there}. ` +
        'A teacher must read the tokens that its student writes: take models of one family',
    );
  }
}

function tokenIds({ model, added_tokens: added }: TokenizerJson): Map<string, number> {
  return new Map([...Object.entries(model.vocab), ...added.map(({ content, id }) => [content, id] as const)]);
}
