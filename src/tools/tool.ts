import type { z } from 'zod';

/** Why an observation is an error, so that tool success can be counted without reading text. */
export type ToolErrorKind = 'invalid_json' | 'unknown_tool' | 'invalid_arguments' | 'exception' | 'timeout';

/** A tool the policy may call. `execute` gets validated arguments; what it throws becomes the observation. */
export interface Tool {
  name: string;
  description: string;
  parameters: z.ZodObject;
  execute(args: Record<string, unknown>, signal: AbortSignal): Promise<string> | string;
  /**
   * The tool itself ends a call that runs too long, and so can leave out the time that the call waits for its turn: what
   * a model sees then does not depend on how busy the machine is.
   */
  limitsTime?: boolean;
  /** The tool itself cuts what is too long. */
  limitsOutput?: boolean;
  /** Ends what the tool keeps for one trajectory, such as an interpreter. */
  close?(): Promise<void> | void;
}

/** Thrown by a tool whose failure has a text of its own, such as a traceback: the model reads it as it is. */
export class ToolError extends Error {
  override name = 'ToolError';
  readonly kind: ToolErrorKind;

  constructor(kind: ToolErrorKind, observation: string) {
    super(observation);
    this.kind = kind;
  }
}

/** A tool whose `execute` takes exactly what its `parameters` describe. */
export function defineTool<Parameters extends z.ZodObject>(tool: {
  name: string;
  description: string;
  parameters: Parameters;
  execute(args: z.output<Parameters>, signal: AbortSignal): Promise<string> | string;
  limitsTime?: boolean;
  close?(): Promise<void> | void;
}): Tool {
  return tool;
}
