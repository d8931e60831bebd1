/** What an agent needs beside its weights: `agent.json` in its folder. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from '../documents.ts';
import { currentFolder, writeFileWhole } from '../files.ts';
import { isObject } from '../json.ts';
import { parseToolProfile, type ToolProfile, withoutPlace } from './profile.ts';

const agentFile = 'agent.json';

export function writeAgentFile(folder: string, tool: ToolProfile): void {
  writeFileWhole(join(folder, agentFile), `${JSON.stringify({ tool: withoutPlace(tool) }, null, 2)}\n`);
}

/**
 * The tool that the model in a folder has learned with; undefined where nothing tells.
 * @throws UserError if the file is damaged.
 */
export function toolOfModel(checkpoint: string): ToolProfile | undefined {
  if (!statSync(checkpoint, { throwIfNoEntry: false })?.isDirectory()) return undefined;
  const file = join(currentFolder(checkpoint), agentFile);
  if (!existsSync(file)) return undefined;
  const agent = readJson(file);
  return withoutPlace(parseToolProfile(isObject(agent) ? agent.tool : undefined, `${file}: tool`));
}
