#!/usr/bin/env node
import { Command } from 'commander';
import { cardCommand } from './commands/card.ts';
import { chatCommand } from './commands/chat.ts';
import { collectCommand } from './commands/collect.ts';
import { compareCommand } from './commands/compare.ts';
import { demoCommand } from './commands/demo.ts';
import { evalCommand } from './commands/eval.ts';
import { exportCommand } from './commands/export.ts';
import { initCommand } from './commands/init.ts';
import { interruptedExitCode } from './commands/interrupt.ts';
import { pushCommand } from './commands/push.ts';
import { runCommand } from './commands/run.ts';
import { serveCommand } from './commands/serve.ts';
import { trainCommand } from './commands/train.ts';
import { UserError } from './errors.ts';

const program = new Command('sod')
  .description('Train small tool-using language models by step-wise on-policy distillation.')
  .version('0.1.0')
  .addHelpText(
    'after',
    `
Start with:
  sod demo                                     the whole pipeline on this machine: teacher, student, comparison, report
  sod train recipes/demo/teacher-sft.yaml      one training run from a recipe
  sod compare recipes/world/compare.yaml       every method from one checkpoint, and the table that compares them
  sod eval runs/teacher-sft/final              average@32 of a checkpoint on held-out tasks
  sod chat runs/demo/student-sod/final         talk to the trained agent, its tools live
  sod serve runs/demo/student-sod/final        the trained agent, for any client of OpenAI's API`,
  );

for (const command of [
  demoCommand,
  trainCommand,
  compareCommand,
  evalCommand,
  collectCommand,
  runCommand,
  chatCommand,
  serveCommand,
  exportCommand,
  initCommand,
  cardCommand,
  pushCommand,
]) {
  program.addCommand(command());
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error as Error);
}

/** What the person can mend is told in one line; anything else is a defect, whose stack is shown on request. */
function report(error: Error): number {
  if (error.name === 'AbortError') return interruptedExitCode;
  if (error instanceof UserError) console.error(error.message);
  else if (process.env.SOD_DEBUG) console.error(error.stack);
  else console.error(`Internal error: ${error.message} (SOD_DEBUG=1 shows where)`);
  return 1;
}
