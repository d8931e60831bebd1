import type { z } from 'zod';

/** A tool the policy may call. `execute` gets validated arguments; what it throws becomes the observation. */
export interface Tool {
  name: string;
  description: string;
  parameters: z.ZodObject;
  execute(args: Record<string, unknown>, signal: AbortSignal): Promise<string> | string;
  /** Ends what the tool keeps for one trajectory, such as an interpreter. */
  close?(): Promise<void> | void;
}
