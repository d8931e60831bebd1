import { Command } from 'commander';
import { version } from '../version.ts';
import { cardCommand } from './card.ts';
import { chatCommand } from './chat.ts';
import { collectCommand } from './collect.ts';
import { compareCommand } from './compare.ts';
import { demoCommand } from './demo.ts';
import { devicesCommand } from './devices.ts';
import { evalCommand } from './eval.ts';
import { exportCommand } from './export.ts';
import { hintsCommand } from './hints.ts';
import { initCommand } from './init.ts';
import { mcpCommand } from './mcp.ts';
import { packagesCommand } from './packages.ts';
import { pushCommand } from './push.ts';
import { runCommand } from './run.ts';
import { serveCommand } from './serve.ts';
import { trainCommand } from './train.ts';
import { watchCommand } from './watch.ts';

/** The command line as a whole. */
export function sodProgram(): Command {
  const program = new Command('sod')
    .description('Train small tool-using language models by step-wise on-policy distillation.')
    .version(version)
    .addHelpText(
      'after',
      `
Start with:
  sod demo                                     the whole pipeline on this machine: teacher, student, comparison, report
  sod train recipes/demo/teacher-sft.yaml      one training run from a recipe
  sod compare recipes/world/compare.yaml       every method from one checkpoint, and the table that compares them
  sod eval runs/teacher-sft/final              average@32 of a checkpoint on held-out tasks
  sod chat runs/demo/student-sod/final         talk to the trained agent, its tools live
  sod serve runs/demo/student-sod/final        the trained agent, for any client of OpenAI's API
  sod mcp runs/demo/student-sod/final          the trained agent, as a tool of other agents`,
    );

  for (const command of [
    demoCommand,
    trainCommand,
    watchCommand,
    compareCommand,
    evalCommand,
    collectCommand,
    hintsCommand,
    runCommand,
    chatCommand,
    serveCommand,
    mcpCommand,
    exportCommand,
    initCommand,
    devicesCommand,
    packagesCommand,
    cardCommand,
    pushCommand,
  ]) {
    program.addCommand(command());
  }
  return program;
}
