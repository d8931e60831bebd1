import type { ApiError } from './apiError.ts';

/** A request that was understood, and the ways to answer it. */
export interface Answering {
  /** Sequences that it samples. */
  sequences: number;
  promptTokens: number;
  streamed: boolean;
  /** @param onToken told of every sampled token */
  whole(signal: AbortSignal, onToken: () => void): Promise<object>;
  stream(signal: AbortSignal, onToken: () => void, send: (chunk: object) => void): Promise<void>;
  /** Where what is streamed are events with names, of which the last tells the end: the one that tells a failure. */
  failure?(error: ApiError): object;
}
