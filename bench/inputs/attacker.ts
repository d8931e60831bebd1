/**
 * Gives commands one bad input after the other, all in this process, and tells of each how it went, a line of JSON each:
 * `tsx attacker.ts <folder> <seed> <first> <end>`.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { failure } from '../../src/commands/failure.ts';
import { sodProgram } from '../../src/commands/program.ts';
import { Random } from '../../src/random.ts';
import type { Outcome } from './attack.ts';
import { type Case, copied, mutations } from './mutations.ts';
import { writeWholeInputs } from './whole.ts';

const [folder, seed, first, end] = process.argv.slice(2);
const whole = join(folder, 'whole');
const inputs = await writeWholeInputs(whole);
const tell = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
for (const method of ['log', 'error', 'warn'] as const) console[method] = () => {};

const names = Object.keys(mutations);
for (let i = Number(first); i < Number(end); i++) {
  const place = join(folder, String(i));
  const mutation = names[i % names.length];
  const random = Random.of(Number(seed), mutation, i);
  const made = mutations[mutation](random, copied(inputs, whole, place));
  tell({ began: i, mutation, args: made.args });
  tell({ ended: i, mutation, args: made.args, problem: await problemOf(made, place) } satisfies Outcome);
  rmSync(place, { recursive: true });
}

/** What is wrong with how a command takes an input; undefined where nothing is. */
async function problemOf({ args, isNonsense }: Case, place: string): Promise<string | undefined> {
  const temporary = join(place, 'tmp');
  mkdirSync(temporary);
  process.env.TMPDIR = temporary;
  const before = readdirSync(place, { recursive: true, encoding: 'utf8' });
  const message = await refusalOf(args, place);
  if (message === undefined) return isNonsense ? 'it was accepted' : undefined;
  if (/^Internal error/.test(message)) return message;
  if (message.length > 2000 || /\p{Cc}/u.test(message))
    return `what it says is no sentence: ${JSON.stringify(message)}`;
  const left = readdirSync(place, { recursive: true, encoding: 'utf8' }).filter(
    path => !before.includes(path) && !/^tmp.tsx-/.test(path),
  );
  return left.length > 0 ? `refused (${message}), but left ${left.join(', ')}` : undefined;
}

/** What a command says when it refuses; undefined where it does not. */
async function refusalOf(args: string[], place: string): Promise<string | undefined> {
  process.chdir(place);
  try {
    await quiet(sodProgram()).parseAsync(args, { from: 'user' });
    return undefined;
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('commander.')) return (error as Error).message.split('\n')[0];
    return failure(error).message ?? 'it was interrupted';
  } finally {
    process.chdir(folder);
  }
}

/** The same command line, which neither prints nor exits. */
function quiet(program: Command): Command {
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  }
  return program;
}
