import type { z } from 'zod';
import { UserError } from '../errors.ts';
import { importDefault } from '../importModule.ts';
import type { Tool } from '../tools/tool.ts';
import type { WorldKit } from '../worlds/open.ts';

/**
 * Tools by the names of a list: `python`, the sandboxed interpreter, and modules whose default export is a list of tools, or a
 * function `(kit) => Tool[]`.
 * @throws UserError that names the entry that is neither.
 */
export async function openTools(names: readonly string[], kit: WorldKit): Promise<Tool[]> {
  const tools = (
    await Promise.all(names.map(name => (name === 'python' ? [kit.python()] : importTools(name, kit))))
  ).flat();
  const twice = tools.find((tool, i) => tools.findIndex(({ name }) => name === tool.name) < i);
  if (twice) throw new UserError(`two tools are named ${twice.name}: each name can be there once`);
  return tools;
}

type ToolsFactory = (kit: WorldKit) => unknown;

async function made(factory: ToolsFactory, kit: WorldKit, path: string): Promise<unknown> {
  try {
    return await factory(kit);
  } catch (error) {
    throw new UserError(`${path}: its function (kit) => Tool[] failed: ${(error as Error)?.message ?? error}`);
  }
}

async function importTools(path: string, kit: WorldKit): Promise<Tool[]> {
  const exported = await importDefault(path, 'tools', "'python'");
  const tools = typeof exported === 'function' ? await made(exported as ToolsFactory, kit, path) : exported;
  const isTool = (tool: Partial<Tool> | undefined) =>
    typeof tool?.name === 'string' &&
    typeof tool.execute === 'function' &&
    typeof (tool.parameters as Partial<z.ZodObject> | undefined)?.safeParse === 'function';
  if (Array.isArray(tools) && tools.every(isTool)) return tools;
  throw new UserError(
    `${path}: its default export must be a list of tools made by defineTool, or a function that gives one`,
  );
}
