/** Bad inputs for all commands, and what came of them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Outcome {
  /** The number of the input. */
  ended: number;
  mutation: string;
  args: string[];
  /** What is wrong with how the command took it. */
  problem?: string;
}

type Line = Outcome | { began: number; mutation: string; args: string[] };

const attacker = fileURLToPath(new URL('./attacker.ts', import.meta.url));

/**
 * Tries the inputs from number `first` to before `end`: a function of the seed and the number. A command that hangs or ends the
 * process is told as a problem, and the next is tried.
 */
export async function attack(
  { seed, first, end, patienceMs }: { seed: number; first: number; end: number; patienceMs: number },
  onOutcome: (outcome: Outcome) => void = () => {},
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  while (first + outcomes.length < end) {
    const folder = mkdtempSync(join(tmpdir(), 'sod-inputs-'));
    const args = [folder, seed, first + outcomes.length, end].map(String);
    const child = spawn(
      process.execPath,
      ['--max-old-space-size=2000', '--import', import.meta.resolve('tsx'), attacker, ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const stopped = await follow(child, patienceMs, outcome => {
      outcomes.push(outcome);
      onOutcome(outcome);
    });
    rmSync(folder, { recursive: true, force: true });
    if (!stopped) continue;
    outcomes.push(stopped);
    onOutcome(stopped);
  }
  return outcomes;
}

/** @returns the input with which the process stood still or ended */
async function follow(
  child: ChildProcess,
  patienceMs: number,
  onOutcome: (outcome: Outcome) => void,
): Promise<Outcome | undefined> {
  let current: Line | undefined;
  let hung = false;
  let errors = '';
  child.stderr!.setEncoding('utf8').on('data', text => {
    errors = (errors + text).slice(-500);
  });
  const watch = setTimeout(() => {
    hung = true;
    child.kill('SIGKILL');
  }, patienceMs);
  for await (const text of createInterface({ input: child.stdout! })) {
    watch.refresh();
    current = JSON.parse(text) as Line;
    if ('ended' in current) onOutcome(current);
  }
  clearTimeout(watch);
  if (!current) throw new Error(`the attacker did not start: ${errors}`);
  if ('ended' in current) return undefined;
  const { began: ended, mutation, args } = current;
  return { ended, mutation, args, problem: hung ? `it hung for ${patienceMs} ms` : `the process ended: ${errors}` };
}
