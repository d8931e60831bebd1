import { UserError } from '../../errors.ts';
import { isObject } from '../../json.ts';
import { jsonSchemaParameters } from '../../tools/jsonSchema.ts';
import { type JsonSchemaParameters, type Tool, ToolError } from '../../tools/tool.ts';
import type { Episode } from './episode.ts';
import { observationText, resultText, toolObservation } from './observation.ts';
import type { Environment } from './server.ts';

const defaultTimeoutMs = 30_000;

/** Something that a model can do in an environment, whatever the episode. */
export interface Action {
  name: string;
  description: string;
  parameters: JsonSchemaParameters;
  act(episode: Episode, args: Record<string, unknown>, timeoutMs: number, signal: AbortSignal): Promise<string>;
}

/**
 * The tools that an environment lists by MCP; without any, or where it also takes actions of its own, a tool `step`. A tool is called
 * by a step where the environment takes that, so that the call has its reward.
 * @throws UserError where a schema cannot be read
 */
export function actionsOf({ action, tools }: Environment, url: string): Action[] {
  const isByStep = takesToolCalls(action);
  const listed = tools.map(({ name, description, parameters }): Action => {
    const act: Action['act'] = isByStep
      ? async (episode, args, ...limits) =>
          toolObservation(await episode.step({ type: 'call_tool', tool_name: name, arguments: args }, ...limits))
      : async (episode, args, ...limits) =>
          rpcText(await episode.ask((session, signal) => session.callTool(name, args, signal), ...limits));
    return { name, description, parameters: readable(parameters, name, url), act };
  });
  return isByStep && listed.length > 0 ? listed : [...listed, stepAction(action, url)];
}

/** Fresh tools for one episode. */
export function toolsOf(actions: readonly Action[], episode: Episode, timeoutMs = defaultTimeoutMs): Tool[] {
  return actions.map(({ act, ...shown }) => ({
    ...shown,
    // A call may wait until the server has room for its episode.
    limitsTime: true,
    execute: (args, signal) => act(episode, args, timeoutMs, signal),
    endsTrajectory: () => episode.isOver,
    close: () => episode.end(),
  }));
}

function stepAction({ description, ...schema }: Record<string, unknown>, url: string): Action {
  const { metadata: _, ...properties } = isObject(schema.properties) ? schema.properties : {};
  return {
    name: 'step',
    description: typeof description === 'string' ? description : 'Acts in the environment.',
    parameters: readable({ ...schema, properties }, 'step', url),
    act: async (episode, args, ...limits) => observationText(await episode.step(args, ...limits)),
  };
}

/** Whether steps are calls of tools: OpenEnv's action of that kind, or the one that all are made from. */
function takesToolCalls({ properties }: Record<string, unknown>): boolean {
  const names = Object.keys(isObject(properties) ? properties : {}).filter(name => name !== 'metadata');
  return names.length === 0 || (names.includes('tool_name') && names.includes('arguments'));
}

function readable(schema: Record<string, unknown>, name: string, url: string): JsonSchemaParameters {
  try {
    return jsonSchemaParameters(schema);
  } catch (error) {
    throw new UserError(`${url}: the schema of ${name} cannot be read (${(error as Error).message})`);
  }
}

function rpcText(answer: { result?: unknown } | { error: { message: string } }): string {
  if ('error' in answer) throw new ToolError('exception', `Error: ${answer.error.message}`);
  return resultText(answer.result);
}
