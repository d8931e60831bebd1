/** What TensorBoard's records hold: of its messages the fields that are written here. */
import protobuf from 'protobufjs';

const { root } = protobuf.parse(`
  syntax = "proto3";
  package tensorboard;

  message Event {
    double wall_time = 1;
    int64 step = 2;
    oneof what {
      string file_version = 3;
      Summary summary = 5;
    }
  }
  message Summary { repeated Value value = 1; }
  message Value {
    string tag = 1;
    SummaryMetadata metadata = 9;
    oneof value {
      float simple_value = 2;
      HistogramProto histo = 5;
      TensorProto tensor = 8;
    }
  }
  message SummaryMetadata { PluginData plugin_data = 1; }
  message PluginData { string plugin_name = 1; }
  message HistogramProto {
    double min = 1;
    double max = 2;
    double num = 3;
    double sum = 4;
    double sum_squares = 5;
    repeated double bucket_limit = 6;
    repeated double bucket = 7;
  }
  message TensorProto {
    int32 dtype = 1;
    TensorShapeProto tensor_shape = 2;
    repeated bytes string_val = 8;
  }
  message TensorShapeProto { repeated Dim dim = 2; }
  message Dim { int64 size = 1; }
`);

export interface Histogram {
  min: number;
  max: number;
  /** How many values, their sum, and that of their squares. */
  num: number;
  sum: number;
  sumSquares: number;
  /** Where each bucket ends, and how many values it has. */
  bucketLimit: number[];
  bucket: number[];
}

export type Value = { tag: string } & ({ simpleValue: number } | { histo: Histogram } | { text: string });

export interface Event {
  /** In seconds since 1970. */
  wallTime: number;
  step: number;
  values: Value[];
}

const message = root.lookupType('tensorboard.Event');
const stringType = 7;

export function eventBytes({ wallTime, step, values }: Event): Uint8Array {
  return message.encode(message.fromObject({ wallTime, step, summary: { value: values.map(wireValue) } })).finish();
}

/** What a file begins with. */
export function versionBytes(wallTime: number): Uint8Array {
  return message.encode(message.fromObject({ wallTime, fileVersion: 'brain.Event:2' })).finish();
}

function wireValue(value: Value): object {
  if (!('text' in value)) return value;
  const tensor = { dtype: stringType, tensorShape: { dim: [{ size: 1 }] }, stringVal: [Buffer.from(value.text)] };
  return { tag: value.tag, metadata: { pluginData: { pluginName: 'text' } }, tensor };
}

/** Of which step an event is, and what it tells. */
export function tagsIn(bytes: Uint8Array): { step: number; tags: string[] } {
  const { step, summary } = message.toObject(message.decode(bytes), { defaults: true, longs: Number });
  return { step, tags: (summary?.value ?? []).map(({ tag }: { tag: string }) => tag) };
}
