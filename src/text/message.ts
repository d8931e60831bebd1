/** The dialogue as people and tools see it, before the chat template turns it into tokens. */

export interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
}

export type Message =
  | { role: 'system' | 'user'; content: string }
  /** `reasoning`: what was thought before it was said. */
  | { role: 'assistant'; content: string; reasoning?: string; toolCalls?: ToolCall[] }
  | { role: 'tool'; content: string };

/** What the chat template shows the model of a tool: JSON Schema parameters, as in the OpenAI format. */
export interface ToolSchema {
  name: string;
  description: string;
  parameters: Record<string, unknown>;
}
