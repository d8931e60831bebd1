import { UserError } from '../errors.ts';
import { explained } from '../systemErrors.ts';
import { cutMiddle } from '../tools/middleCut.ts';
import { harmless } from './harmless.ts';
import { interruptedExitCode } from './interrupt.ts';

/** Messages tell what they found, which may be of any length. */
const maxChars = 2000;

/** How a command that threw ends: what the person can mend is told in one line; anything else is a defect. */
export function failure(thrown: unknown): { exitCode: number; message?: string } {
  const error = explained(thrown) as Error;
  if (error.name === 'AbortError') return { exitCode: interruptedExitCode };
  const mendable = error instanceof UserError ? error : ofThread(error);
  if (mendable) return { exitCode: 1, message: oneLine(mendable.message) };
  if (process.env.SOD_DEBUG) return { exitCode: 1, message: error.stack };
  return { exitCode: 1, message: oneLine(`Internal error: ${error.message} (SOD_DEBUG=1 shows where)`) };
}

/** What the person can mend of why a thread ended: an error comes over from it without its class. */
function ofThread({ cause }: Error): Error | undefined {
  return cause instanceof Error && cause.name === 'UserError' ? cause : undefined;
}

function oneLine(message: string): string {
  return harmless(cutMiddle(message, maxChars).replace(/\s*[\r\n]\s*/g, ' '));
}
