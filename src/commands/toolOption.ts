import type { Command } from 'commander';
import type { ToolProfile } from '../tools/profile.ts';

export interface ToolOption {
  tool?: string;
}

export function withTool(command: Command): Command {
  return command.option(
    '--tool <profile>',
    "how the code tool is offered: python, paper, or a YAML file (default: as the model's agent.json says)",
  );
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
