import { type Command, Option } from 'commander';
import { fraction, nonNegativeNumber, positiveInteger, seedNumber } from './options.ts';

/** What commands that sample trajectories take on the command line. */
export interface SamplingOptions {
  temperature: number;
  topP: number;
  maxTurns: number;
  maxPromptTokens: number;
  maxTokens: number;
  seed: number;
  thinking: 'on' | 'off';
}

/** Adds those options; the defaults are the paper's for evaluation. */
export function withSampling(command: Command, maxTokens = 20_480): Command {
  return command
    .option('--temperature <t>', 'of sampling; 0 is greedy', nonNegativeNumber, 1)
    .option('--top-p <p>', 'smallest set of tokens whose probabilities reach p', fraction, 0.6)
    .option('--max-turns <turns>', 'most turns of a trajectory', positiveInteger, 16)
    .option('--max-prompt-tokens <tokens>', 'a longer prompt is refused', positiveInteger, 4096)
    .option('--max-tokens <tokens>', 'most sampled and observed tokens of a trajectory', positiveInteger, maxTokens)
    .option('--seed <seed>', 'of sampling', seedNumber, 0)
    .addOption(
      new Option('--thinking <whether>', 'whether the model may think before it speaks')
        .choices(['on', 'off'])
        .default('off'),
    );
}

/** The same, as trajectories are sampled with it. */
export function trajectorySettings(options: SamplingOptions) {
  const { temperature, topP, maxTurns, maxPromptTokens, maxTokens, seed, thinking } = options;
  return {
    temperature,
    topP,
    maxTurns,
    maxPromptTokens,
    maxResponseTokens: maxTokens,
    seed,
    ...(thinking === 'on' && { thinking: true }),
  };
}
