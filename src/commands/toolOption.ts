import type { Command } from 'commander';
import type { McpServer } from '../tools/mcp/servers.ts';
import type { ToolProfile } from '../tools/profile.ts';
import type { ToolOptions } from '../worlds/kit.ts';
import { collect } from './options.ts';

export interface ToolOption {
  tool?: string;
}

export function withTool(command: Command): Command {
  return command.option(
    '--tool <profile>',
    "how the code tool is offered: python, paper, or a YAML file (default: as the model's agent.json says)",
  );
}

export interface McpOption {
  mcp?: string[];
}

export function withMcp(command: Command): Command {
  return command.option(
    '--mcp <name=server>',
    'the tools of an MCP server as well: name=command and its arguments, name=http://…, or a YAML file with a list; may be ' +
      'given several times',
    collect,
  );
}

/** The servers that are asked for. @throws UserError where that cannot be understood */
export async function serversOf({ mcp = [] }: McpOption): Promise<McpServer[]> {
  const { parseServers } = await import('../tools/mcp/servers.ts');
  return parseServers(mcp);
}

/** Recipes may come from anywhere. */
export function withAllowMcp(command: Command): Command {
  return command.option('--allow-mcp', 'let the MCP servers that a recipe names be started and asked');
}

export interface ToolsOption extends ToolOption, McpOption {}

export function withTools(command: Command): Command {
  return withMcp(withTool(command));
}

/**
 * What is offered to the model beside a world's tools.
 * @throws UserError if there is no such profile, the model's file is damaged, or a server cannot be understood
 */
export async function offeredOf(
  options: ToolsOption,
  checkpoint: string,
  preset?: 'python' | 'paper',
): Promise<Required<Pick<ToolOptions, 'tool' | 'mcp' | 'onNotice'>>> {
  return { tool: await toolOf(options, checkpoint, preset), mcp: await serversOf(options), onNotice: console.error };
}

/**
 * The profile that is asked for; or that of the model; or else the preset.
 * @throws UserError if there is no such profile, or the model's file is damaged.
 */
export async function toolOf(
  { tool }: ToolOption,
  checkpoint: string,
  preset: 'python' | 'paper' = 'python',
): Promise<ToolProfile> {
  const [{ readToolProfile, toolPresets }, { toolOfModel }] = await Promise.all([
    import('../tools/profile.ts'),
    import('../tools/agentFile.ts'),
  ]);
  return tool === undefined ? (toolOfModel(checkpoint) ?? toolPresets[preset]) : readToolProfile(tool);
}
