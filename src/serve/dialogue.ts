import { isObject, parseJson } from '../json.ts';
import type { Message, ToolCall, ToolSchema } from '../text/message.ts';
import type { RequestMessage, RequestTool } from './requests.ts';

/** A request's messages as the chat template takes them. */
export function dialogueOf(messages: readonly RequestMessage[]): Message[] {
  return messages.map(message => {
    const content = textOf(message.content);
    switch (message.role) {
      case 'developer':
        return { role: 'system', content };
      case 'assistant':
        return assistant(
          content || (message.refusal ?? ''),
          message.tool_calls ?? [],
          message.reasoning_content?.trim(),
        );
      case 'tool':
        return { role: 'tool', content };
      default:
        return { role: message.role, content };
    }
  });
}

export function toolSchemas(tools: readonly RequestTool[]): ToolSchema[] {
  return tools.map(({ function: { name, description, parameters } }) => ({
    name,
    description: description ?? '',
    parameters: parameters ?? { type: 'object', properties: {} },
  }));
}

function textOf(content: RequestMessage['content']): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map(part => (part.type === 'text' ? part.text : part.refusal)).join('');
}

type RequestCall = NonNullable<Extract<RequestMessage, { role: 'assistant' }>['tool_calls']>[number];

/** A call whose arguments are no JSON object, which a model may have written, stands in the text as it was. */
export function assistant(
  content: string,
  requested: readonly Pick<RequestCall, 'function'>[],
  reasoning?: string,
): Message {
  const toolCalls: ToolCall[] = [];
  const broken: string[] = [];
  for (const { function: call } of requested) {
    const values = jsonObject(call.arguments);
    if (values) toolCalls.push({ name: call.name, arguments: values });
    else broken.push(`{"name": ${JSON.stringify(call.name)}, "arguments": ${call.arguments}}`);
  }
  const text = [...(content ? [content] : []), ...broken].join('\n');
  return {
    role: 'assistant',
    ...(reasoning && { reasoning }),
    content: text,
    ...(toolCalls.length > 0 && { toolCalls }),
  };
}

function jsonObject(json: string): Record<string, unknown> | undefined {
  try {
    const value = parseJson(json || '{}');
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
