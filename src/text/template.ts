import type { CheckpointFiles } from '../checkpoint/textFiles.ts';
import { UserError } from '../errors.ts';
import { BoundedTemplate } from './boundedTemplate.ts';
import type { Message, ToolSchema } from './message.ts';
import { Shield } from './shield.ts';
import { shownSchema } from './shownSchema.ts';
import type { SealedTokenizer } from './tokenizer.ts';

/** A checkpoint's chat template, which gives sealed text: its own control tokens sealed, everything in messages and tools data. */
export class ChatTemplate {
  readonly shield: Shield;
  readonly path: string;
  readonly #tokenizer: SealedTokenizer;
  readonly #template: BoundedTemplate;
  readonly #variables: Record<string, unknown>;

  constructor(files: CheckpointFiles, tokenizer: SealedTokenizer, enableThinking: boolean) {
    this.path = files.templatePath;
    this.#tokenizer = tokenizer;
    this.shield = new Shield(tokenizer.controlTokens, files.template);
    const { bos_token, eos_token, pad_token, unk_token } = files.config;
    this.#variables = { bos_token, eos_token, pad_token, unk_token, enable_thinking: enableThinking };
    try {
      this.#template = new BoundedTemplate(files.template);
    } catch (error) {
      throw new UserError(`${this.path}: the chat template cannot be read: ${(error as Error).message}`);
    }
  }

  /** The dialogue and the prompt for the assistant's next turn. Throws a UserError where the template refuses the dialogue. */
  render(messages: Message[], tools: ToolSchema[]): string {
    let rendered: string;
    try {
      rendered = this.#template.render({
        ...this.#variables,
        messages: messages.map(message => this.#message(message)),
        tools: tools.length === 0 ? null : tools.map(tool => this.#tool(tool)),
        add_generation_prompt: true,
      });
    } catch (error) {
      const roles = messages.map(message => message.role).join(', ');
      throw new UserError(
        `${this.path}: the chat template refuses the messages (${roles}): ${(error as Error).message}`,
      );
    }
    return this.shield.lower(this.#tokenizer.seal(rendered));
  }

  #message(message: Message): Record<string, unknown> {
    const content = this.shield.raise(message.content);
    if (message.role !== 'assistant') return { role: message.role, content };
    const { role, reasoning, toolCalls = [] } = message;
    const tool_calls = toolCalls.map(call => ({
      type: 'function',
      function: this.shield.raise({ name: call.name, arguments: call.arguments }),
    }));
    return {
      role,
      ...(reasoning && { reasoning_content: this.shield.raise(reasoning) }),
      content,
      ...(tool_calls.length > 0 && { tool_calls }),
    };
  }

  #tool({ name, description, parameters }: ToolSchema): Record<string, unknown> {
    return {
      type: 'function',
      function: this.shield.raise({ name, description, parameters: shownSchema(parameters) }),
    };
  }
}
