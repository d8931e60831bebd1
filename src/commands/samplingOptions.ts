import type { Command } from 'commander';
import { fraction, nonNegativeNumber, positiveInteger, seedNumber } from './options.ts';

/** What commands that sample trajectories take on the command line. */
export interface SamplingOptions {
  temperature: number;
  topP: number;
  maxTurns: number;
  maxPromptTokens: number;
  maxTokens: number;
  seed: number;
}

/** Adds those options; the defaults are the paper's for evaluation. */
export function withSampling(command: Command, maxTokens = 20_480): Command {
  return command
    .option('--temperature <t>', 'of sampling; 0 is greedy', nonNegativeNumber, 1)
    .option('--top-p <p>', 'smallest set of tokens whose probabilities reach p', fraction, 0.6)
    .option('--max-turns <turns>', 'most turns of a trajectory', positiveInteger, 16)
    .option('--max-prompt-tokens <tokens>', 'a longer prompt is refused', positiveInteger, 4096)
    .option('--max-tokens <tokens>', 'most sampled and observed tokens of a trajectory', positiveInteger, maxTokens)
    .option('--seed <seed>', 'of sampling', seedNumber, 0);
}
