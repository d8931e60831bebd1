import { UserError } from '../errors.ts';
import { importDefault } from '../importModule.ts';
import type { ServerTools } from '../tools/mcp/open.ts';
import { openKit, type ToolOptions, type WorldKit } from './kit.ts';
import { withServers } from './mcp.ts';
import { isOpenEnv, openEnvUrl } from './openenv/address.ts';
import { type ShopName, shops } from './shop/order.ts';
import { shopWorld } from './shop/world.ts';
import type { World } from './world.ts';

/** What a world's module exports as default. */
export type WorldFactory = (kit: WorldKit) => World;

const worlds: Record<string, WorldFactory> = Object.fromEntries(
  (Object.keys(shops) as ShopName[]).map(shop => [shop, kit => shopWorld({ ...kit, shop })]),
);

/** A world and the interpreters and servers behind its tools, which run until it is closed. */
export interface OpenWorld {
  world: World;
  /** What its MCP servers offer, and the one that it is on. */
  serverTools: ServerTools[];
  close(): Promise<void>;
}

/**
 * Opens a world by its name, from the path of a module whose default export is a `WorldFactory`, or by `openenv:` and the address of
 * an OpenEnv server that has it.
 * @throws UserError if there is no such world.
 */
export async function openWorld(name: string, options: ToolOptions = {}): Promise<OpenWorld> {
  const {
    world: own,
    serverTools,
    close,
  } = isOpenEnv(name) ? await openServed(name, options) : await openHere(name, options);
  try {
    const { world, servers } = await withServers(own, options.mcp, options.timeoutMs);
    return {
      world,
      serverTools: [...serverTools, ...servers.lists],
      close: async () => void (await Promise.all([servers.close(), close()])),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Only what OpenEnv needs loads its protocol. */
async function openServed(name: string, { timeoutMs }: ToolOptions): Promise<OpenWorld> {
  const { openEnvironment } = await import('./openenv/world.ts');
  return openEnvironment(openEnvUrl(name), timeoutMs);
}

async function openHere(name: string, options: ToolOptions): Promise<OpenWorld> {
  const factory = Object.hasOwn(worlds, name) ? worlds[name] : await importWorld(name);
  const { kit, close } = await openKit(options);
  try {
    return { world: made(factory, kit, name), serverTools: [], close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws UserError where a module's function fails, or what it makes is no world. */
function made(factory: WorldFactory, kit: WorldKit, name: string): World {
  let world: Partial<World> | undefined;
  try {
    world = factory(kit);
  } catch (error) {
    throw new UserError(`${name}: its function (kit) => World failed: ${(error as Error)?.message ?? error}`);
  }
  if (typeof world?.task === 'function' && typeof world.tools === 'function') return world as World;
  throw new UserError(`${name}: its function (kit) => World must give a world, with task and tools`);
}

async function importWorld(path: string): Promise<WorldFactory> {
  const factory = await importDefault(path, 'world', `one of ${Object.keys(worlds).join(', ')}`);
  if (typeof factory === 'function') return factory as WorldFactory;
  throw new UserError(`${path}: a world's module exports a function (kit) => World as default`);
}
