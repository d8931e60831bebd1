import type { z } from 'zod';
import { UserError } from '../errors.ts';

/** Why an observation is an error, so that tool success can be counted without reading text. */
export type ToolErrorKind = 'invalid_json' | 'unknown_tool' | 'invalid_arguments' | 'exception' | 'timeout';

/** Arguments that a JSON Schema describes, as it was written elsewhere. */
export interface JsonSchemaParameters {
  jsonSchema: Record<string, unknown>;
  /** What is wrong with arguments by the schema; undefined where nothing is. */
  problem(args: Record<string, unknown>): string | undefined;
}

export type ToolOrigin = { kind: 'code'; argument: string } | { kind: 'mcp'; server: string };

/** A tool the policy may call. `execute` gets validated arguments; what it throws becomes the observation. */
export interface Tool<Parameters extends z.ZodObject | JsonSchemaParameters = z.ZodObject | JsonSchemaParameters> {
  name: string;
  description: string;
  parameters: Parameters;
  execute(args: Record<string, unknown>, signal: AbortSignal): Promise<string> | string;
  /**
   * The tool itself ends a call that runs too long, and so can leave out the time that the call waits for its turn: what
   * a model sees then does not depend on how busy the machine is.
   */
  limitsTime?: boolean;
  /** Whether what the tool acts in has come to its end: a trajectory, an answer too, ends with the call that was made last. */
  endsTrajectory?(): boolean;
  /** The tool itself cuts what is too long. */
  limitsOutput?: boolean;
  /** What it runs, for who shows calls: the code in one of its arguments, or a tool of an MCP server. Default: a function. */
  origin?: ToolOrigin;
  /** Ends what the tool keeps for one trajectory, such as an interpreter. */
  close?(): Promise<void> | void;
}

/** Whether one of them says that the trajectory ends here. */
export function isOver(tools: readonly Tool[]): boolean {
  return tools.some(tool => tool.endsTrajectory?.());
}

/** Ends what tools keep. */
export async function closeTools(tools: readonly Tool[]): Promise<void> {
  await Promise.all(tools.map(tool => tool.close?.()));
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

/** What runs a tool is gone, by no fault of who calls it: nothing can be learned from that. The message says what to do. */
export class ToolLost extends UserError {
  override name = 'ToolLost';
}

/** What runs a tool cannot be reached for now: whoever called may begin again. */
export class ToolUnreachable extends ToolLost {
  override name = 'ToolUnreachable';
}

/** A tool whose `execute` takes exactly what its `parameters` describe. */
export function defineTool<Parameters extends z.ZodObject>(tool: {
  name: string;
  description: string;
  parameters: Parameters;
  execute(args: z.output<Parameters>, signal: AbortSignal): Promise<string> | string;
  limitsTime?: boolean;
  endsTrajectory?(): boolean;
  close?(): Promise<void> | void;
}): Tool<z.ZodObject> {
  return tool;
}
