import type { ThoughtStart } from '../text/thought.ts';
import { badRequest } from './apiError.ts';
import { dialogueOf, toolSchemas } from './dialogue.ts';
import { outputGrammar } from './outputGrammar.ts';
import type { PromptModel } from './promptModel.ts';
import { type ChatRequest, parseChatRequest, type RequestTool } from './requests.ts';
import { refuseOtherName } from './servedModel.ts';

/** A chat request as it is sampled. */
export interface ChatWork {
  request: Omit<ChatRequest, 'messages' | 'tools' | 'tool_choice' | 'response_format'>;
  prompt: number[];
  /** Whether there are tools: what looks like a call is one. */
  calls: boolean;
  /** As JSON. */
  grammar?: string;
  /** Where a thought may come first: whether the prompt has begun it. */
  thought?: ThoughtStart;
}

/** @throws ApiError where the request cannot be answered */
export function readChat(model: PromptModel, body: unknown): ChatWork {
  const { messages, tools: offered, tool_choice, response_format, ...request } = parseChatRequest(body);
  refuseOtherName(model.names, request.model);
  if (request.top_logprobs && !request.logprobs) {
    throw badRequest('top_logprobs: asks for logprobs: true', 'top_logprobs');
  }
  const { tools, demand } = choice(offered ?? [], tool_choice ?? 'auto');
  const thinking = request.chat_template_kwargs?.enable_thinking ?? false;
  const { prompt, thought, callFormat } = model.dialogue(dialogueOf(messages), toolSchemas(tools), thinking);
  const grammar = outputGrammar({
    tools,
    demand,
    single: typeof tool_choice === 'object' || request.parallel_tool_calls === false,
    format: response_format ?? { type: 'text' },
    thought,
    callFormat,
    vocabulary: model.vocabulary,
  });
  if (grammar && request.ignore_eos)
    throw badRequest('ignore_eos: what is demanded of the answer ends it', 'ignore_eos');
  return {
    request,
    prompt,
    calls: tools.length > 0,
    thought,
    ...(grammar && { grammar: JSON.stringify(grammar) }),
  };
}

/** The tools that may be called, and whether one of them has to be. */
export function choice(
  offered: RequestTool[],
  asked: NonNullable<ChatRequest['tool_choice']>,
): { tools: RequestTool[]; demand: boolean } {
  if (asked === 'none') return { tools: [], demand: false };
  if (asked === 'auto') return { tools: offered, demand: false };
  if (offered.length === 0) throw badRequest('tool_choice: asks for a call, but there are no tools', 'tool_choice');
  if (asked === 'required') return { tools: offered, demand: true };
  const named = asked.type === 'function' ? [asked] : asked.allowed_tools.tools;
  const names = named.map(tool => tool.function.name);
  const unknown = names.find(name => !offered.some(tool => tool.function.name === name));
  if (unknown !== undefined) {
    const known = offered.map(tool => tool.function.name).join(', ');
    throw badRequest(`tool_choice: there is no tool ${JSON.stringify(unknown)}; the tools are ${known}`, 'tool_choice');
  }
  const tools = offered.filter(tool => names.includes(tool.function.name));
  return { tools, demand: asked.type === 'function' || asked.allowed_tools.mode === 'required' };
}
