import type { ToolCall } from '../text/message.ts';
import type { ToolErrorKind } from '../tools/tool.ts';

export type { ToolErrorKind };

/** One maximal run of sampled tokens, and what came back for it. */
export interface Step {
  /** Token range [start, end) in the trajectory's tokens. */
  start: number;
  end: number;
  /** The sampled tokens decoded, for people and rewards; never encoded again. */
  text: string;
  /** The call as parsed; absent in a final answer and where it could not be parsed. */
  call?: ToolCall;
  /** What the environment answered; absent in a final answer. */
  observation?: string;
  error?: ToolErrorKind;
}

/** answer: the last turn made no call; turns and tokens: a limit ended it. */
export type TrajectoryEnd = 'answer' | 'turns' | 'tokens';

/** Everything one rollout produced. Per-token arrays are as long as `tokens`. */
export interface Trajectory {
  taskId: string;
  /** Prompt, turns and observations, exactly as the policy saw and sampled them. */
  tokens: number[];
  promptTokens: number;
  /** 1 on sampled tokens, 0 on prompt and observations. */
  mask: Uint8Array;
  /** Behaviour policy's log-probabilities, 0 where `mask` is 0. */
  logprobs: Float32Array;
  steps: Step[];
  end: TrajectoryEnd;
  reward: number;
  correct: boolean;
}
