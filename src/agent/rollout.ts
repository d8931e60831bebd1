import type { Task } from '../data/task.ts';
import type { Sampler, SamplingOptions } from '../engine/types.ts';
import { Random } from '../random.ts';
import type { Chat, ParsedTurn } from '../text/chat.ts';
import { type CallResult, callTool } from '../tools/call.ts';
import { toolSchema } from '../tools/schema.ts';
import { closeTools, isOver, type Tool } from '../tools/tool.ts';
import type { Step, Trajectory, TrajectoryEnd } from './trajectory.ts';

export const defaultPromptTokens = 2560;

export interface RolloutLimits {
  /** Most assistant turns. Default 16. */
  turns?: number;
  /** Most tokens after the prompt, sampled and observed together. Default 20,480. */
  responseTokens?: number;
  /** A longer prompt ends the trajectory before its first turn. Default 2,560. */
  promptTokens?: number;
  /** Most wall time of one tool call. Default: that of `callTool`. */
  toolTimeoutMs?: number;
  /** A longer observation is cut in its middle. Default: that of `callTool`. */
  toolOutputChars?: number;
}

export interface Rollout {
  task: Task;
  /** Makes this trajectory's own tools; they are closed when it ends. */
  tools: () => Tool[];
  chat: Chat;
  sampler: Sampler;
  sampling?: Pick<SamplingOptions, 'temperature' | 'topP' | 'topK'>;
  limits?: RolloutLimits;
  /** What the seed of each turn is derived from. */
  seed: number;
  /** Judges the trajectory, whose own `reward` and `correct` are not known yet; `tools` are those that it had. */
  judge: (trajectory: Trajectory, tools: readonly Tool[]) => Verdict | Promise<Verdict>;
  signal?: AbortSignal;
}

export interface Verdict {
  reward: number;
  correct: boolean;
}

/**
 * Lets the policy solve a task: turn, tool call, observation, turn, … until a turn makes no call or a limit is reached, be it
 * that of the sampler, which then says nothing; or until a tool says that its call was the last.
 * Sampled ids are kept as they were sampled. A call that fails, or cannot even be read, is answered with what is wrong.
 * @throws the reason of `signal`.
 */
export async function rollout(request: Rollout): Promise<Trajectory> {
  const { chat, sampler, task, signal } = request;
  const { turns = 16, responseTokens = 20_480, promptTokens = defaultPromptTokens } = request.limits ?? {};
  signal?.throwIfAborted();
  const tools = request.tools();
  try {
    const prompt = chat.prompt(task.messages, tools.map(toolSchema));
    const record = new Recording(prompt.slice(0, promptTokens));
    const judged = async (end: TrajectoryEnd) => {
      const trajectory = record.trajectory(task.id, end);
      return Object.assign(trajectory, await request.judge(trajectory, tools));
    };
    if (prompt.length > promptTokens) return await judged('tokens');
    const conversation = await sampler.open(prompt);
    let end: TrajectoryEnd | undefined;
    try {
      for (let turn = 0; end === undefined; turn++) {
        const completion = await conversation.generate(
          {
            ...request.sampling,
            maxTokens: responseTokens - record.responseTokens,
            stop: chat.stopTokens,
            seed: Random.of(request.seed, 'turn', turn).uint32(),
          },
          signal,
        );
        if (completion.tokens.length === 0) {
          end = 'tokens';
          break;
        }
        const parsed = chat.parse(completion.tokens);
        const step = record.sampled(completion.tokens, completion.logprobs, parsed.text);
        step.call = parsed.calls[0];
        if (completion.stopReason === 'length') end = 'tokens';
        else if (!step.call && !parsed.error) end = 'answer';
        else if (turn + 1 === turns) end = 'turns';
        else {
          const { observation, error } = await answer(parsed, tools, request);
          step.observation = observation;
          step.error = error;
          if (isOver(tools)) {
            end = 'answer';
            break;
          }
          const tokens = chat.observation(observation);
          if (record.responseTokens + tokens.length >= responseTokens) end = 'tokens';
          else {
            conversation.append(tokens);
            record.observed(tokens);
          }
        }
      }
    } finally {
      conversation.close();
    }
    return await judged(end);
  } finally {
    await closeTools(tools);
  }
}

/** What the environment says to a turn that makes a call. */
async function answer({ calls, error }: ParsedTurn, tools: Tool[], request: Rollout): Promise<CallResult> {
  const { toolTimeoutMs: timeoutMs, toolOutputChars: maxOutputChars } = request.limits ?? {};
  if (calls.length === 0) return { observation: `Error: ${error}`, error: 'invalid_json' };
  const result = await callTool(tools, calls[0], { timeoutMs, maxOutputChars }, request.signal);
  if (calls.length === 1 && !error) return result;
  const unread = error ? ` Another could not be read: ${error}.` : '';
  const note = `Note: only the first call was run; make one call a turn.${unread}`;
  return { ...result, observation: `${result.observation}\n${note}` };
}

/** The trajectory as it grows. */
class Recording {
  readonly #tokens: number[];
  readonly #promptTokens: number;
  readonly #mask: number[];
  readonly #logprobs: number[];
  readonly #steps: Step[] = [];

  constructor(prompt: readonly number[]) {
    this.#tokens = [...prompt];
    this.#promptTokens = prompt.length;
    this.#mask = prompt.map(() => 0);
    this.#logprobs = prompt.map(() => 0);
  }

  get responseTokens(): number {
    return this.#tokens.length - this.#promptTokens;
  }

  sampled(tokens: readonly number[], logprobs: readonly number[], text: string): Step {
    const start = this.#tokens.length;
    this.#append(tokens, logprobs, 1);
    const step: Step = { start, end: this.#tokens.length, text };
    this.#steps.push(step);
    return step;
  }

  observed(tokens: readonly number[]): void {
    this.#append(
      tokens,
      tokens.map(() => 0),
      0,
    );
  }

  trajectory(taskId: string, end: TrajectoryEnd): Trajectory {
    return {
      taskId,
      tokens: this.#tokens,
      promptTokens: this.#promptTokens,
      mask: Uint8Array.from(this.#mask),
      logprobs: Float32Array.from(this.#logprobs),
      steps: this.#steps,
      end,
      reward: 0,
      correct: false,
    };
  }

  #append(tokens: readonly number[], logprobs: readonly number[], mask: 0 | 1): void {
    tokens.forEach((token, i) => {
      this.#tokens.push(token);
      this.#logprobs.push(logprobs[i]);
      this.#mask.push(mask);
    });
  }
}
