import { UserError } from '../../errors.ts';
import { readVocabulary, type Vocabulary } from '../../text/vocabulary.ts';
import type { ServedModel } from './servedModel.ts';

/** Tokens that are compared beside the control tokens. */
const mostCompared = 256;

/**
 * A served model reads the ids that a student writes: they must be the same tokens there. Of a vocabulary that cannot be seen,
 * the server is asked how it spells the student's control tokens, and others evenly over all ids.
 * @param student folder of a checkpoint
 * @param onNotice told where the server does not say how it spells tokens, so that nothing was compared
 * @throws UserError where the server spells a token otherwise, does not know it, or re-tokenizes what it is sent.
 */
export async function refuseOtherTokensServed(
  student: string,
  served: ServedModel,
  address: string,
  onNotice: (notice: string) => void,
): Promise<void> {
  const probe = tokensToCompare(readVocabulary(student));
  // The first token has nothing before it, and so no entry in the answer.
  const tokens = [probe[0], ...probe].slice(0, served.contextTokens - 1).map(({ id }) => id);
  const [{ texts }] = await served.told([{ tokens, from: 1 }]).catch(error => {
    throw error instanceof UserError ? new UserError(`${error.message}, asked about the tokens of ${student}`) : error;
  });
  const told = probe.filter((_, i) => texts[i + 1] !== undefined);
  if (told.length === 0) {
    onNotice(`${address} does not say how it spells tokens: that its tokenizer is that of ${student} was not checked`);
  }
  for (const [i, { id, text }] of probe.entries()) {
    const there = texts[i + 1];
    // Some servers leave the space before a word out.
    if (there === undefined || there.trim() === text.trim()) continue;
    throw new UserError(
      `${address} has another tokenizer than ${student}: token ${id} is '${text}', where it is '${there}'. ` +
        'Both must read the same ids: take models of one family',
    );
  }
}

/** Control tokens, and others whose bytes are plain text by themselves. */
function tokensToCompare(vocabulary: Vocabulary): { id: number; text: string }[] {
  const controls: { id: number; text: string }[] = [];
  const plain: { id: number; text: string }[] = [];
  for (let id = 0; id < vocabulary.size; id++) {
    const control = vocabulary.control(id);
    if (control !== undefined) controls.push({ id, text: control });
    const text = Buffer.from(vocabulary.bytes(id) ?? []).toString('latin1');
    if (/^ ?[!-~]+$/.test(text)) plain.push({ id, text });
  }
  const count = Math.min(mostCompared, plain.length);
  const spread = Array.from({ length: count }, (_, i) => plain[Math.floor(((i + 1) * plain.length) / count) - 1]);
  return [...controls.slice(0, mostCompared), ...spread];
}
