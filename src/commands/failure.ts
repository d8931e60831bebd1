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
  if (error instanceof UserError) return { exitCode: 1, message: oneLine(error.message) };
  if (process.env.SOD_DEBUG) return { exitCode: 1, message: error.stack };
  return { exitCode: 1, message: oneLine(`Internal error: ${error.message} (SOD_DEBUG=1 shows where)`) };
}

function oneLine(message: string): string {
  return harmless(cutMiddle(message, maxChars).replace(/\s*[\r\n]\s*/g, ' '));
}
