import type { Message } from '../text/message.ts';
import type { Tool } from '../tools/tool.ts';

/** What an agent has beside its model. */
export interface Agent {
  /** Fresh tools for one dialogue, which closes them. */
  tools(): Promise<Tool[]>;
  /** What a dialogue begins with, such as a system message. */
  messages: Message[];
}
