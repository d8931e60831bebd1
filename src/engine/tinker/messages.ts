/** The messages of the Tinker API whose bodies are protobuf; field numbers as the official SDK sends them. */
import protobuf from 'protobufjs';

const { root } = protobuf.parse(`
  syntax = "proto3";
  package tinker_public;

  message ForwardBackwardRequest {
    string model_id = 1;
    int32 seq_id = 2;
    repeated Datum data = 3;
    string loss_fn = 4;
    map<string, double> loss_fn_config = 5;
    bool forward_only = 6;
    map<string, LossConfigValue> loss_fn_config_v2 = 7;
  }
  message LossConfigValue { double number = 1; string text = 2; }
  message Datum {
    repeated Chunk model_input = 1;
    map<string, Tensor> loss_fn_inputs = 2;
  }
  message Chunk { EncodedText encoded_text = 1; }
  message EncodedText { bytes tokens = 1; }
  message Tensor {
    bytes dense = 1;
    int32 dtype = 3;
    repeated int64 shape = 4;
  }

  message ForwardBackwardOutput {
    string loss_fn_output_type = 1;
    repeated ArrayRecord loss_fn_outputs = 2;
    map<string, double> metrics = 3;
  }
  message ArrayRecord {
    string type_tag = 1;
    map<string, BatchedTensor> fields = 2;
    int64 num_datums = 3;
  }
  message BatchedTensor {
    bytes data = 1;
    bytes offsets = 2;
    int32 dtype = 3;
    repeated int64 trailing_shape = 4;
  }

  message SampleResponse {
    repeated SampledSequence sequences = 1;
    bytes prompt_logprobs = 2;
    int32 prompt_cache_hit_tokens = 4;
  }
  message SampledSequence {
    int32 stop_reason = 1;
    bytes tokens = 2;
    bytes logprobs = 3;
  }
`);

/** Numbers by the wire's names of their types. */
export const dtypes = { float32: 1, int64: 2, int32: 3 } as const;

export interface WireTensor {
  /** Little-endian. */
  dense: Uint8Array;
  dtype: number;
  shape: number[];
}

export interface WireDatum {
  modelInput: { encodedText?: { tokens: Uint8Array } }[];
  lossFnInputs: Record<string, WireTensor>;
}

export interface ForwardBackwardRequest {
  modelId: string;
  seqId: number;
  data: WireDatum[];
  lossFn: string;
  lossFnConfig: Record<string, number>;
  lossFnConfigV2: Record<string, { number?: number; text?: string }>;
  forwardOnly: boolean;
}

export interface ForwardBackwardOutput {
  lossFnOutputType: string;
  /** Each may hold several sequences, one after the other. */
  lossFnOutputs: ArrayRecord[];
  metrics: Record<string, number>;
}

export interface ArrayRecord {
  typeTag: string;
  fields: Record<string, BatchedTensor>;
  numDatums: number;
}

export interface BatchedTensor {
  data: Uint8Array;
  /** int64, one more than sequences: where in `data` each begins and ends, in bytes. */
  offsets: Uint8Array;
  dtype: number;
  trailingShape: number[];
}

export interface SampleResponse {
  sequences: SampledSequence[];
  /** float32, NaN where there is none: none at all where nobody asked. */
  promptLogprobs: Uint8Array;
  promptCacheHitTokens: number;
}

export interface SampledSequence {
  /** 0: a token of `stop`; 1: as long as it may be. */
  stopReason: number;
  tokens: Uint8Array;
  logprobs: Uint8Array;
}

/** A message as it goes over the wire, and back. */
export interface Codec<T> {
  encode(message: Partial<T>): Uint8Array;
  /** @throws Error where the bytes are no such message */
  decode(bytes: Uint8Array): T;
}

function codec<T>(name: string): Codec<T> {
  const type = root.lookupType(`tinker_public.${name}`);
  return {
    encode: message => type.encode(type.fromObject(message)).finish(),
    decode: bytes => type.toObject(type.decode(bytes), { defaults: true, longs: Number }) as T,
  };
}

export const forwardBackwardRequest = codec<ForwardBackwardRequest>('ForwardBackwardRequest');
export const forwardBackwardOutput = codec<ForwardBackwardOutput>('ForwardBackwardOutput');
export const sampleResponse = codec<SampleResponse>('SampleResponse');

export const protobufType = 'application/x-protobuf';

/** Bytes of numbers, as they lie in memory here and on the wire: little-endian. */
export function bytesOf(numbers: Int32Array | Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** @throws RangeError where the bytes are no whole number of numbers */
export function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(ownBuffer(bytes));
}

export function int32sOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(ownBuffer(bytes));
}

export function int64sOf(bytes: Uint8Array): number[] {
  return Array.from(new BigInt64Array(ownBuffer(bytes)), Number);
}

export function int64Bytes(numbers: readonly number[]): Uint8Array {
  return bytesOf(BigInt64Array.from(numbers, BigInt));
}

/** Of all tokens, given those of all but the first, which gets 0. */
export function behindFirst(values: ArrayLike<number>): Float32Array {
  const all = new Float32Array(values.length + 1);
  all.set(values, 1);
  return all;
}

/** What was received may begin anywhere in memory; views of numbers may not. */
function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}
