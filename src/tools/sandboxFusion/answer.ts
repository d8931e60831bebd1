import { z } from 'zod';
import { UserError } from '../../errors.ts';
import type { Answer } from '../../http/exchange.ts';
import { mayPass, Passing, passing, wordsOf } from '../../http/patience.ts';

/** How a program ended. */
export interface ProgramEnd {
  /** Its return code, below 0 by the number of the signal that ended it; or that its time was over. */
  exit: number | 'timeout';
  /** Of each, what the server kept: 1 MiB. */
  stdout: string;
  stderr: string;
}

const text = z.string().nullish();

const answerSchema = z.object({
  status: z.enum(['Success', 'Failed', 'SandboxError']),
  message: text,
  run_result: z
    .object({
      status: z.enum(['Finished', 'Error', 'TimeLimitExceeded']),
      return_code: z.int().nullish(),
      stdout: text,
      stderr: text,
    })
    .nullish(),
});

/** What an answer to /run_code means. @throws Passing where it is the server that failed; UserError where it refuses */
export function endOf({ status, headers, body }: Answer): ProgramEnd {
  const said = body.toString();
  if (status !== 200) {
    const what = `answered ${status} (${wordsOf(said)})`;
    throw mayPass(status) ? passing(what, status, headers['retry-after']) : new UserError(what);
  }
  const { status: outcome, message, run_result: run } = parsed(said);
  if (outcome === 'SandboxError' || !run || run.status === 'Error') {
    throw new Passing(`had an error of its own (${wordsOf(message || run?.stderr || outcome)})`);
  }
  const { stdout, stderr } = run;
  const code = run.return_code ?? (outcome === 'Success' ? 0 : 1);
  const exit = run.status === 'TimeLimitExceeded' ? 'timeout' : code;
  return { exit, stdout: stdout ?? '', stderr: stderr ?? '' };
}

function parsed(said: string): z.output<typeof answerSchema> {
  try {
    return answerSchema.parse(JSON.parse(said));
  } catch {
    throw new Passing(`answered what SandboxFusion would not (${wordsOf(said)})`);
  }
}
