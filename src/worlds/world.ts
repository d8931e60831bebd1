import type { Task } from '../data/task.ts';
import type { Random } from '../random.ts';
import type { Judgement } from '../rewards/judgement.ts';
import type { Message } from '../text/message.ts';
import type { McpServer } from '../tools/mcp/servers.ts';
import type { Tool } from '../tools/tool.ts';

/** What a policy learns in: tasks, tools, a judge and, for the cold start, an expert. */
export interface World {
  name: string;
  /** How many tasks a split has; absent where they have no end. */
  size?: number;
  /** Asks for tasks that are elsewhere: `task` gives those alone. Absent where all are here. */
  prepare?(split: 'train' | 'test', indices: readonly number[], signal: AbortSignal): Promise<void>;
  /** The index-th task of a split, below `size`. Equal indices give equal tasks; the splits share none. */
  task(split: 'train' | 'test', index: number): Task;
  /** Fresh tools for one trajectory of this task. */
  tools(task: Task): Tool[];
  /** MCP servers whose tools it has as well: they run as long as it is open. */
  mcp?: McpServer[];
  /** Judges the final answer; `tools` are the trajectory's, and may know more. Default: the math reward against `task.answer`. */
  judge?(task: Task, answer: string, tools: readonly Tool[]): Judgement | Promise<Judgement>;
  /** The assistant and tool messages by which an expert solves the task, mistakes it recovers from included. */
  demonstrate?(task: Task, random: Random): Promise<Message[]>;
}
