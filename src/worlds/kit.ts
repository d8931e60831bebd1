/** What worlds build their tools from, and what has to be open for it. */
import { availableParallelism } from 'node:os';
import type { McpServer } from '../tools/mcp/servers.ts';
import { packagesOf } from '../tools/packages/store.ts';
import { type ToolProfile, toolPresets } from '../tools/profile.ts';
import { PythonPool } from '../tools/python/pool.ts';
import { interpreterOf, pythonTool } from '../tools/python/tool.ts';
import type { SandboxFusion } from '../tools/sandboxFusion/server.ts';
import type { Tool } from '../tools/tool.ts';

/** What a world may build its tools from. */
export interface WorldKit {
  /** A fresh Python interpreter for one trajectory, as a tool: `python`, or what its profile calls it. */
  python: () => Tool;
}

/**
 * How Python is offered, and whose tools beside it; of one call its time, and how much of its output is kept, where the profile does
 * not say.
 */
export interface ToolOptions {
  tool?: ToolProfile;
  /** MCP servers, beside those that a world has. */
  mcp?: readonly McpServer[];
  timeoutMs?: number;
  maxOutputChars?: number;
  /** Told when a server that runs code is waited for. */
  onNotice?: (notice: string) => void;
}

export interface OpenKit {
  kit: WorldKit;
  /** What runs code in the place of the sandbox here. */
  server?: SandboxFusion;
  close(): Promise<void>;
}

/** Of one call in the sandbox here, or on a server, where neither the profile nor the run says it. */
const defaultTimeoutMs = 5_000;

/** Interpreters at the same time, which share the cores with what samples; a session is the same in each of them. */
const interpreters = () => Math.max(1, Math.floor(availableParallelism() / 2));

/**
 * Interpreters for a world's tools, which run until it is closed.
 * @throws UserError where a package of the tool is missing, or the server that is to run its code
 */
export async function openKit(options: ToolOptions): Promise<OpenKit> {
  const { tool = toolPresets.python as ToolProfile } = options;
  const timeoutMs = tool.timeoutMs ?? options.timeoutMs ?? defaultTimeoutMs;
  return tool.kind === 'sandbox-fusion' ? openServed(tool, timeoutMs, options) : openHere(tool, timeoutMs, options);
}

function openHere(tool: ToolProfile, timeoutMs: number, { maxOutputChars }: ToolOptions): OpenKit {
  const { memoryMiB, outputChars, packages = [] } = tool;
  const pool = new PythonPool({
    workers: interpreters(),
    timeoutMs,
    memoryBytes: memoryMiB && memoryMiB * 2 ** 20,
    packages: packagesOf(packages),
    // The tool cuts its output by its profile: both of its ends are needed.
    maxOutputChars: outputChars === undefined ? maxOutputChars : 4 * outputChars + 1024,
  });
  return { kit: { python: () => pythonTool(interpreterOf(pool, tool), tool) }, close: () => pool.close() };
}

async function openServed(tool: ToolProfile, timeoutMs: number, { onNotice }: ToolOptions): Promise<OpenKit> {
  const [{ SandboxFusion }, { servedInterpreter }] = await Promise.all([
    import('../tools/sandboxFusion/server.ts'),
    import('../tools/sandboxFusion/interpreter.ts'),
  ]);
  const server = await SandboxFusion.open({ ...tool, url: tool.url! }, { onNotice });
  const interpreter = servedInterpreter(server, timeoutMs);
  return { kit: { python: () => pythonTool(interpreter, tool) }, server, close: async () => server.close() };
}
