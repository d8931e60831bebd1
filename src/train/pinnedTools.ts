import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readJson } from '../documents.ts';
import { UserError } from '../errors.ts';
import { writeFileWhole } from '../files.ts';
import type { ServerTools } from '../tools/mcp/open.ts';

/** What the MCP servers of a run offered when it began, in its folder. */
export const pinnedToolsFile = 'mcp-tools.json';

/**
 * Keeps what a run's servers offer: prompts hold it, so that another list makes another run.
 * @throws UserError that tells the difference, where the run began with other tools.
 */
export function pinTools(run: string, offered: readonly ServerTools[]): void {
  const file = join(run, pinnedToolsFile);
  if (!existsSync(file)) {
    if (offered.length > 0) writeFileWhole(file, `${JSON.stringify(offered, null, 2)}\n`);
    return;
  }
  const differences = differencesBetween(toolsByName(readJson(file) as ServerTools[]), toolsByName(offered));
  if (differences.length === 0) return;
  throw new UserError(
    `${run} began with other MCP tools than there are now: ${differences.join('; ')}. ` +
      `Let the servers be as they were, see ${file}, or begin another run`,
  );
}

type Tools = Map<string, ServerTools['tools'][number]>;

function toolsByName(lists: readonly ServerTools[]): Tools {
  return new Map(lists.flatMap(({ server, tools }) => tools.map(tool => [`${tool.name} of ${server}`, tool])));
}

function differencesBetween(before: Tools, now: Tools): string[] {
  const changed = [...before].flatMap(([name, tool]) => {
    const other = now.get(name);
    if (!other) return [`${name} is gone`];
    const key = (['description', 'parameters'] as const).find(key => !isDeepStrictEqual(tool[key], other[key]));
    return key
      ? [`the ${key} of ${name} changed from ${JSON.stringify(tool[key])} to ${JSON.stringify(other[key])}`]
      : [];
  });
  const added = [...now.keys()].filter(name => !before.has(name)).map(name => `${name} is new`);
  const isReordered = changed.length + added.length === 0 && !isDeepStrictEqual([...before.keys()], [...now.keys()]);
  return [...changed, ...added, ...(isReordered ? ['they come in another order'] : [])];
}
