import { UserError } from '../../errors.ts';
import type { Message } from '../../text/message.ts';
import type { ServerTools } from '../../tools/mcp/open.ts';
import type { Tool } from '../../tools/tool.ts';
import type { World } from '../world.ts';
import { Episode } from './episode.ts';
import { observationText } from './observation.ts';
import { type Environment, readEnvironment } from './server.ts';
import { Sessions } from './sessions.ts';
import { actionsOf, toolsOf } from './tools.ts';

/** Tasks whose first observation is asked for at the same time. */
const preparedAtOnce = 16;

export interface OpenEnvironment {
  world: World;
  /** What a model can do in it. */
  serverTools: ServerTools[];
  close(): Promise<void>;
}

/**
 * An environment that an OpenEnv server has as a world. A task is what a reset with its seed, or with its split and index, shows; each
 * trajectory has a session of its own, whose rewards, summed, are its score.
 * @param timeoutMs most time of one step
 * @throws UserError where there is no such server
 */
export async function openEnvironment(url: string, timeoutMs?: number): Promise<OpenEnvironment> {
  const environment = await readEnvironment(url);
  const actions = actionsOf(environment, url);
  const sessions = new Sessions(url);
  const first = new Map<string, string>();
  const episodes = new WeakMap<Tool, Episode>();

  const world: World = {
    name: environment.name,
    size: environment.tasks?.train.count,

    async prepare(split, indices, signal) {
      const missing = [...new Set(indices)].filter(index => !first.has(keyOf(split, index)));
      const failure = new AbortController();
      const stop = AbortSignal.any([signal, failure.signal]);
      const lane = async () => {
        for (let index = missing.shift(); index !== undefined; index = missing.shift()) {
          const begun = await sessions.begin(resetOptions(environment, split, index), stop);
          first.set(keyOf(split, index), observationText(begun.first.observation));
          await begun.end();
        }
      };
      const lanes = Array.from({ length: preparedAtOnce }, lane);
      await Promise.all(lanes).catch(error => {
        failure.abort(); // The others would wait for what is gone.
        throw error;
      });
    },

    task(split, index) {
      const shown = first.get(keyOf(split, index));
      if (shown === undefined) throw new Error(`task ${keyOf(split, index)} has not been prepared`);
      return { id: keyOf(split, index), messages: messagesOf(environment, shown), answer: '' };
    },

    tools({ id }) {
      const [split, index] = id.split('/');
      const options = resetOptions(environment, split as 'train' | 'test', Number(index));
      const episode = new Episode(sessions, options, first.get(id)!);
      const tools = toolsOf(actions, episode, timeoutMs);
      for (const tool of tools) episodes.set(tool, episode);
      return tools;
    },

    judge(_task, _answer, tools) {
      const score = tools.map(tool => episodes.get(tool)).find(episode => episode)?.reward ?? 0;
      return { score, correct: score > 0 };
    },
  };
  const tools = actions.map(({ name, description, parameters }) => ({
    name,
    description,
    parameters: parameters.jsonSchema,
  }));
  return { world, serverTools: [{ server: environment.name, tools }], close: () => sessions.close() };
}

const keyOf = (split: string, index: number) => `${split}/${index}`;

/** Seeds alternate between the splits: one that is taken modulo an even number of tasks shares none either. */
function resetOptions({ name, tasks }: Environment, split: 'train' | 'test', index: number): object {
  if (!tasks) return { seed: 2 * index + (split === 'test' ? 1 : 0) };
  const list = tasks[split];
  if (!list) throw new UserError(`${name} has no held-out tasks: its server lists those of ${tasks.train.split} alone`);
  if (index < list.count) return { split: list.split, index };
  throw new UserError(`${name} has only ${list.count} tasks in its split ${list.split}`);
}

function messagesOf({ description }: Environment, shown: string): Message[] {
  const user: Message = { role: 'user', content: shown };
  return description ? [{ role: 'system', content: description }, user] : [user];
}
