/**
 * TensorBoard's event files, read without what writes them: records and messages by the published formats, of the latter the fields
 * that are asked for.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ReadValue {
  tag: string;
  scalar?: number;
  histogram?: { min: number; max: number; num: number; sum: number; limits: number[]; counts: number[] };
  text?: string;
  plugin?: string;
}

export interface ReadEvent {
  wallTime: number;
  step: number;
  version?: string;
  values: ReadValue[];
}

type Fields = Map<number, (number | Buffer)[]>;

/** The events of all files of a folder, in the order in which TensorBoard reads them. @throws Error where one is damaged */
export function readEvents(folder: string): ReadEvent[] {
  return readdirSync(folder)
    .sort()
    .flatMap(name => records(readFileSync(join(folder, name))).map(event));
}

function records(file: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const data = file.subarray(at + 12, at + 12 + length);
    const isWhole =
      file.readUInt32LE(at + 8) === maskedCrc(file.subarray(at, at + 8)) &&
      file.readUInt32LE(at + 12 + length) === maskedCrc(data);
    if (!isWhole) throw new Error(`a record at ${at} is damaged`);
    found.push(data);
    at += length + 16;
  }
  return found;
}

/** Bit by bit. */
export function maskedCrc(data: Uint8Array): number {
  let crc = -1;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1));
  }
  const value = ~crc >>> 0;
  return (((value >>> 15) | (value << 17)) + 0xa282ead8) >>> 0;
}

function event(bytes: Buffer): ReadEvent {
  const fields = fieldsOf(bytes);
  const summary = fields.get(5)?.[0] as Buffer | undefined;
  return {
    wallTime: double(fields.get(1)![0]),
    step: (fields.get(2)?.[0] as number | undefined) ?? 0,
    version: text(fields.get(3)?.[0]),
    values: summary ? (fieldsOf(summary).get(1) as Buffer[]).map(value) : [],
  };
}

function value(bytes: Buffer): ReadValue {
  const fields = fieldsOf(bytes);
  const inner = (number: number) => fields.get(number)?.[0] as Buffer | undefined;
  const metadata = inner(9);
  const [histogram, tensor] = [inner(5), inner(8)];
  return {
    tag: text(inner(1))!,
    ...(inner(2) && { scalar: inner(2)!.readFloatLE() }),
    ...(histogram && { histogram: histogramIn(fieldsOf(histogram)) }),
    ...(tensor && { text: text(fieldsOf(tensor).get(8)![0]) }),
    ...(metadata && { plugin: text(fieldsOf(fieldsOf(metadata).get(1)![0] as Buffer).get(1)![0]) }),
  };
}

function histogramIn(fields: Fields): ReadValue['histogram'] {
  const one = (number: number) => (fields.has(number) ? double(fields.get(number)![0]) : 0);
  const many = (number: number) => doubles(fields.get(number)![0] as Buffer);
  return { min: one(1), max: one(2), num: one(3), sum: one(4), limits: many(6), counts: many(7) };
}

const text = (bytes: number | Buffer | undefined) => (bytes as Buffer | undefined)?.toString();
const double = (bytes: number | Buffer) => (bytes as Buffer).readDoubleLE();
const doubles = (bytes: Buffer) =>
  Array.from({ length: bytes.length / 8 }, (_, i) => bytes.subarray(8 * i).readDoubleLE());

/** Varints as numbers, all else as bytes. */
function fieldsOf(message: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = () => {
    for (let number = 0, scale = 1; ; scale *= 128) {
      const byte = message[at++];
      number += (byte & 127) * scale;
      if (byte < 128) return number;
    }
  };
  const bytes = (count: number) => {
    at += count;
    return message.subarray(at - count, at);
  };
  while (at < message.length) {
    const key = varint();
    const content = { 0: varint, 1: () => bytes(8), 2: () => bytes(varint()), 5: () => bytes(4) }[key & 7]!();
    fields.set(key >>> 3, [...(fields.get(key >>> 3) ?? []), content]);
  }
  return fields;
}
