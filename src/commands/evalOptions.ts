import type { Equivalence } from '../rewards/equivalences.ts';
import type { PolicyOptions } from './policyOptions.ts';
import type { SamplingOptions } from './samplingOptions.ts';
import type { ToolsOption } from './toolOption.ts';

export interface EvalOptions extends SamplingOptions, PolicyOptions, ToolsOption {
  tasks: string;
  benchmark?: string;
  samples: number;
  runs: number;
  equivalence: Equivalence;
  testTimeout: number;
  prompts?: string;
  limit?: number;
  out?: string;
  json?: boolean;
}
