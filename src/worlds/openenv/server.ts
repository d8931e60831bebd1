import type { z } from 'zod';
import { UserError } from '../../errors.ts';
import { agentFor, exchange } from '../../http/exchange.ts';
import { jsonIn } from '../../json.ts';
import {
  countSchema,
  metadataSchema,
  namesSchema,
  type ServerTool,
  schemasSchema,
  splitsSchema,
  toolListSchema,
} from './wire.ts';

const silenceMs = 60_000;

/** Of a split of an environment that lists its tasks. */
export interface TaskList {
  split: string;
  count: number;
}

/** What a server says of its environment before a session begins. */
export interface Environment {
  name: string;
  description: string;
  /** JSON Schema of what a step takes. */
  action: Record<string, unknown>;
  /** By MCP; none where it has none. */
  tools: ServerTool[];
  /** Absent where any seed is a task. */
  tasks?: { train: TaskList; test?: TaskList };
}

/** @throws UserError where there is no OpenEnv server that trains */
export async function readEnvironment(url: string): Promise<Environment> {
  const ask = asker(url);
  const [schemas, metadata, listed, names] = await Promise.all([
    ask('/schema', schemasSchema),
    ask('/metadata', metadataSchema),
    ask('/mcp', toolListSchema, { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
    ask('/list_environments', namesSchema),
  ]);
  if (!schemas) throw new UserError(`${url} is no OpenEnv server: it does not say what actions it takes (/schema)`);
  return {
    name: metadata?.name ?? 'openenv',
    description: metadata?.description ?? '',
    action: schemas.action,
    tools: listed?.result.tools ?? [],
    tasks: names?.[0] === undefined ? undefined : await readTasks(ask, encodeURIComponent(names[0])),
  };
}

/** What is answered, if it is as the schema has it. */
type Ask = <T>(path: string, schema: z.ZodType<T>, body?: object) => Promise<T | undefined>;

async function readTasks(ask: Ask, name: string): Promise<Environment['tasks']> {
  const splits = (await ask(`/${name}/splits`, splitsSchema)) ?? [];
  const listOf = async (kinds: string[]): Promise<TaskList | undefined> => {
    const split = splits.find(({ name, type }) => kinds.includes(name) || kinds.includes(type ?? ''))?.name;
    const counted = split === undefined ? undefined : await ask(`/${name}/num_tasks`, countSchema, { split });
    return counted && { split: split!, count: counted.num_tasks };
  };
  const train = await listOf(['train']);
  return train && { train, test: (await listOf(['test'])) ?? (await listOf(['validation'])) };
}

function asker(url: string): Ask {
  const agent = agentFor(url, 4);
  return async (path, schema, body) => {
    const headers = { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) };
    const sent = body && JSON.stringify(body);
    const answer = await exchange({ url: url + path, agent, headers, body: sent, silenceMs }).catch(error => {
      if (error instanceof UserError) throw error;
      throw new UserError(
        `${url} cannot be reached (${error.code ?? error.message}): is the environment's server running?`,
      );
    });
    return answer.status === 200 ? schema.safeParse(jsonIn(answer.body.toString())).data : undefined;
  };
}
