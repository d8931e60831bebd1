/**
 * TensorFlow's files of records: the length of the data in 8 bytes, its checksum, the data, their checksum; numbers are
 * little-endian, a checksum is CRC-32C, masked so that a record may hold records.
 * https://www.tensorflow.org/tutorials/load_data/tfrecord
 */

const headerBytes = 12;
const checksumBytes = 4;

export function recordOf(data: Uint8Array): Buffer {
  const record = Buffer.alloc(headerBytes + data.length + checksumBytes);
  record.writeBigUInt64LE(BigInt(data.length));
  record.writeUInt32LE(checksum(record.subarray(0, 8)), 8);
  record.set(data, headerBytes);
  record.writeUInt32LE(checksum(data), headerBytes + data.length);
  return record;
}

/** The records of a file, up to the first that is torn or damaged. */
export function* recordsIn(file: Buffer): Generator<Buffer> {
  for (let at = 0; at + headerBytes <= file.length; ) {
    if (file.readUInt32LE(at + 8) !== checksum(file.subarray(at, at + 8))) return;
    const end = at + headerBytes + Number(file.readBigUInt64LE(at));
    if (end + checksumBytes > file.length) return;
    const data = file.subarray(at + headerBytes, end);
    if (file.readUInt32LE(end) !== checksum(data)) return;
    yield data;
    at = end + checksumBytes;
  }
}

function checksum(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Of each byte, by the reversed polynomial of Castagnoli. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = table[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
