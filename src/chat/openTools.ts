import type { z } from 'zod';
import { UserError } from '../errors.ts';
import { importDefault } from '../importModule.ts';
import { closeTools, type Tool } from '../tools/tool.ts';
import type { WorldKit } from '../worlds/kit.ts';

/** The tools of a list, until they are closed. */
export interface OpenTools {
  /** Those of one dialogue, which closes them: what a list has for all of them stays. */
  fresh(): Promise<Tool[]>;
  close(): Promise<void>;
}

/**
 * Tools by the names of a list: `python`, the sandboxed interpreter, and modules whose default export is a list of tools, which
 * all dialogues share, or a function `(kit) => Tool[]`, which is called for each.
 * @throws UserError that names the entry that is neither.
 */
export async function openTools(names: readonly string[], kit: WorldKit): Promise<OpenTools> {
  const shared: Tool[] = [];
  const makers = await Promise.all(
    names.map(async (name): Promise<() => Promise<Tool[]>> => {
      if (name === 'python') return async () => [kit.python()];
      const exported = await importDefault(name, 'tools', "'python'");
      if (typeof exported === 'function')
        return async () => checked(await made(exported as ToolsFactory, kit, name), name);
      const tools = checked(exported, name);
      shared.push(...tools);
      return async () => tools.map(outliving);
    }),
  );
  return {
    async fresh() {
      const tools: Tool[] = [];
      try {
        for (const make of makers) tools.push(...(await make()));
        refuseTwice(tools);
        return tools;
      } catch (error) {
        await closeTools(tools);
        throw error;
      }
    },
    close: () => closeTools(shared),
  };
}

function refuseTwice(tools: readonly Tool[]): void {
  const twice = tools.find((tool, i) => tools.findIndex(({ name }) => name === tool.name) < i);
  if (twice) throw new UserError(`two tools are named ${twice.name}: each name can be there once`);
}

/** The same tool, which is not closed with a dialogue. */
function outliving(tool: Tool): Tool {
  const { name, description, parameters, limitsTime, limitsOutput, origin } = tool;
  const execute: Tool['execute'] = (args, signal) => tool.execute(args, signal);
  const endsTrajectory = tool.endsTrajectory && (() => tool.endsTrajectory!());
  return { name, description, parameters, execute, limitsTime, limitsOutput, endsTrajectory, origin };
}

type ToolsFactory = (kit: WorldKit) => unknown;

async function made(factory: ToolsFactory, kit: WorldKit, path: string): Promise<unknown> {
  try {
    return await factory(kit);
  } catch (error) {
    throw new UserError(`${path}: its function (kit) => Tool[] failed: ${(error as Error)?.message ?? error}`);
  }
}

function checked(tools: unknown, path: string): Tool[] {
  const isTool = (tool: Partial<Tool> | undefined) =>
    typeof tool?.name === 'string' &&
    typeof tool.execute === 'function' &&
    typeof (tool.parameters as Partial<z.ZodObject> | undefined)?.safeParse === 'function';
  if (Array.isArray(tools) && tools.every(isTool)) return tools;
  throw new UserError(
    `${path}: its default export must be a list of tools made by defineTool, or a function that gives one`,
  );
}
