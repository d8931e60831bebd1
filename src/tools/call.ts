import { plainNumbers } from '../json.ts';
import type { ToolCall } from '../text/message.ts';
import { ThreadError } from '../worker.ts';
import { cutMiddle } from './middleCut.ts';
import { isJsonSchema, toolSchema } from './schema.ts';
import { type Tool, ToolError, type ToolErrorKind, ToolLost } from './tool.ts';

export interface CallLimits {
  /** Most time of one call on the wall, where a tool waits for others, unless it has a limit of its own. Default 30,000. */
  timeoutMs?: number;
  /** An observation longer than this is cut in its middle. Default 8,192. */
  maxOutputChars?: number;
}

export interface CallResult {
  observation: string;
  error?: ToolErrorKind;
}

/**
 * Calls the tool that `call` names. Whatever goes wrong is told in the observation, for the model to recover from.
 * @throws the reason of `signal`, when that fires; ThreadError, or ToolLost, when what runs the tool is broken, which is nothing
 *   to learn from.
 */
export async function callTool(
  tools: readonly Tool[],
  call: ToolCall,
  { timeoutMs = 30_000, maxOutputChars = 8_192 }: CallLimits = {},
  signal?: AbortSignal,
): Promise<CallResult> {
  signal?.throwIfAborted();
  const result = await run(tools, call, timeoutMs, signal);
  const isCut = tools.find(({ name }) => name === call.name)?.limitsOutput;
  if (isCut && result.error !== 'invalid_arguments') return result;
  return { ...result, observation: cutMiddle(result.observation, maxOutputChars) };
}

async function run(
  tools: readonly Tool[],
  call: ToolCall,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<CallResult> {
  const tool = tools.find(candidate => candidate.name === call.name);
  if (!tool) return { observation: unknownTool(tools, call.name), error: 'unknown_tool' };
  const args = checked(tool, plainNumbers(call.arguments));
  if ('problems' in args) return { observation: invalidArguments(tool, args.problems), error: 'invalid_arguments' };

  const stop = new AbortController();
  const timer = tool.limitsTime ? undefined : setTimeout(() => stop.abort(), timeoutMs);
  // Not AbortSignal.any, which takes longer than many a call.
  const follow = () => stop.abort(signal!.reason);
  signal?.addEventListener('abort', follow, { once: true });
  const stopped = rejection(stop.signal);
  try {
    const work = (async () => tool.execute(args.valid, stop.signal))();
    return { observation: await Promise.race([work, stopped]) };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ThreadError || error instanceof ToolLost) throw error;
    if (stop.signal.aborted) {
      return { observation: `Error: ${tool.name} did not answer within ${timeoutMs / 1000} s.`, error: 'timeout' };
    }
    if (error instanceof ToolError) return { observation: error.message, error: error.kind };
    return { observation: `Error: ${error instanceof Error ? error.message : String(error)}`, error: 'exception' };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', follow);
  }
}

/** A promise that rejects when `signal` fires, for a tool that does not listen to it. */
function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function unknownTool(tools: readonly Tool[], name: string): string {
  const names = tools.map(tool => tool.name).join(', ');
  return `Error: there is no tool named ${JSON.stringify(name)}. ${names ? `The tools are: ${names}.` : 'There are no tools.'}`;
}

type Arguments = Record<string, unknown>;

/** The arguments as the tool gets them, or what is wrong with them. */
function checked({ parameters }: Tool, args: Arguments): { valid: Arguments } | { problems: string[] } {
  if (isJsonSchema(parameters)) {
    const problem = parameters.problem(args);
    return problem === undefined ? { valid: args } : { problems: [problem] };
  }
  const { data, error } = parameters.safeParse(args);
  if (!error) return { valid: data };
  return {
    problems: error.issues.map(({ path, message }) => `${path.map(String).join('.') || 'arguments'}: ${message}`),
  };
}

function invalidArguments(tool: Tool, problems: readonly string[]): string {
  const { properties, required } = toolSchema(tool).parameters;
  return [
    `Error: the arguments of ${tool.name} are not valid.`,
    ...problems.map(problem => `- ${problem}`),
    `Expected: ${JSON.stringify({ properties, required })}`,
  ].join('\n');
}
