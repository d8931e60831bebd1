import type { Sampler, SamplingOptions, TokenIds } from '../engine/types.ts';
import type { Chat } from '../text/chat.ts';
import type { Message, ToolCall } from '../text/message.ts';
import type { TurnContent, TurnDelta } from '../text/turnText.ts';
import { type CallResult, callTool } from '../tools/call.ts';
import { isOver, type Tool } from '../tools/tool.ts';
import type { TrajectoryEnd } from './trajectory.ts';

/** What happens while an agent answers. An observation is that of a call of the turn, or of one that could not be read. */
export type AnswerEvent = TurnDelta | ({ kind: 'observation'; call?: number; name: string } & CallResult);

export interface AnswerRequest {
  sampler: Sampler;
  chat: Chat;
  prompt: TokenIds;
  /** What is run here. */
  tools: readonly Tool[];
  /** Whether a call is one for whoever asked to run: a turn that makes such calls is the last. Default: none is. */
  isHandedOver?: (name: string) => boolean;
  /** Whether what looks like a call is one. Default: where there are tools. */
  calls?: boolean;
  /** @param turn counted from 0 */
  sampling: (turn: number) => Omit<SamplingOptions, 'maxTokens' | 'stop'>;
  /** Most turns: calls, and what is said behind the last of them. */
  maxTurns: number;
  /** Most tokens, sampled and observed. */
  maxTokens: number;
  /** Of these, most that are sampled. Default: all. */
  maxSampledTokens?: number;
  signal: AbortSignal;
  tell: (event: AnswerEvent) => void;
  onToken?: () => void;
}

export interface Answer {
  /** calls: the last turn made calls that are handed over; over: a tool says that there is nothing more to do. */
  end: TrajectoryEnd | 'calls' | 'over';
  /** What the dialogue has grown by; calls that are handed over are the last ones of the last message. */
  messages: Message[];
  sampledTokens: number;
  /** Of these, those of thoughts. */
  thoughtTokens: number;
  observedTokens: number;
}

/**
 * An agent's answer as it comes: turns, the calls they make, what the tools give, until a turn makes no call, one makes a call
 * that is not for here, a tool says that its call was the last, or a limit is reached. All calls of a turn are run, one after the other.
 * @throws UserError where the prompt is too long for the model; as `callTool`; the reason of `signal`.
 */
export async function answer(request: AnswerRequest): Promise<Answer> {
  const { chat, tools, isHandedOver = () => false, signal } = request;
  const { maxTurns, maxTokens, maxSampledTokens = maxTokens } = request;
  const conversation = await request.sampler.open(request.prompt);
  const grown: Omit<Answer, 'end'> = { messages: [], sampledTokens: 0, thoughtTokens: 0, observedTokens: 0 };
  const tokensLeft = () =>
    Math.min(maxTokens - grown.sampledTokens - grown.observedTokens, maxSampledTokens - grown.sampledTokens);
  try {
    for (let turn = 0; ; turn++) {
      const reader = chat.reader({ calls: request.calls ?? tools.length > 0 });
      const { stopReason } = await conversation.generate(
        { ...request.sampling(turn), maxTokens: tokensLeft(), stop: chat.stopTokens },
        signal,
        ({ token }) => {
          const deltas = reader.push(token);
          grown.sampledTokens++;
          if (deltas[0]?.kind === 'thought') grown.thoughtTokens++;
          request.onToken?.();
          deltas.forEach(request.tell);
        },
      );
      reader.end().forEach(request.tell);
      const handedOver = reader.turn.calls.filter(({ name }) => isHandedOver(name));
      const own = reader.turn.calls.filter(call => !handedOver.includes(call));
      grown.messages.push(turnMessage(reader.turn, [...own, ...handedOver]));
      if (stopReason === 'length') return { ...grown, end: 'tokens' };
      const isObserved = own.length > 0 || (reader.turn.error !== undefined && tools.length > 0);
      if (!isObserved) return { ...grown, end: handedOver.length > 0 ? 'calls' : 'answer' };
      if (turn + 1 === maxTurns) return { ...grown, end: 'turns' };
      const content = await observe(reader.turn, own, request);
      grown.messages.push({ role: 'tool', content });
      if (handedOver.length > 0) return { ...grown, end: 'calls' };
      if (isOver(tools)) return { ...grown, end: 'over' };
      const tokens = chat.observation(content);
      conversation.append(tokens);
      grown.observedTokens += tokens.length;
      if (tokensLeft() < 1) return { ...grown, end: 'tokens' };
    }
  } finally {
    conversation.close();
  }
}

function turnMessage({ reasoning, content }: TurnContent, toolCalls: ToolCall[]): Message {
  return {
    role: 'assistant',
    ...(reasoning && { reasoning }),
    content,
    ...(toolCalls.length > 0 && { toolCalls }),
  };
}

/** Runs the turn's calls; their answers are one observation, as a model has learned it. */
async function observe(
  { calls, error }: TurnContent,
  own: readonly ToolCall[],
  { tools, signal, tell }: AnswerRequest,
): Promise<string> {
  const observations: string[] = [];
  for (const call of own) {
    const result = await callTool(tools, call, {}, signal);
    tell({ kind: 'observation', call: calls.indexOf(call), name: call.name, ...result });
    observations.push(result.observation);
  }
  if (error) {
    const observation = `Error: ${error}`;
    tell({ kind: 'observation', name: 'call', observation, error: 'invalid_json' });
    observations.push(observation);
  }
  return observations.join('\n');
}
