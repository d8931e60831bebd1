import fc from 'fast-check';
import { expect, test } from 'vitest';
import { recordOf, recordsIn } from '../../../src/trackers/tensorboard/record.ts';
import { maskedCrc } from './readEvents.ts';

test('checksums are CRC-32C, masked', () => {
  // RFC 3720, B.4: 32 bytes of zeros have the CRC 8a9136aa.
  const zeros = new Uint8Array(32);
  const masked = ((((0x8a9136aa >>> 15) | (0x8a9136aa << 17)) >>> 0) + 0xa282ead8) >>> 0;
  expect(maskedCrc(zeros)).toBe(masked);
  expect(recordOf(zeros).readUInt32LE(44)).toBe(masked);
});

test('a file gives its records back, up to where it is torn or damaged', () => {
  const bytes = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(bytes, fc.nat(), fc.boolean(), (contents, place, tears) => {
      const records = contents.map(recordOf);
      const file = Buffer.concat(records);
      const at = place % file.length;
      const harmed = tears ? file.subarray(0, at) : Buffer.from(file);
      if (!tears) harmed[at] ^= 1;
      const ends = records.map((_, i) => Buffer.concat(records.slice(0, i + 1)).length);
      const whole = ends.filter(end => end <= at).length;
      expect([...recordsIn(file)].map(record => [...record])).toEqual(contents.map(content => [...content]));
      expect([...recordsIn(harmed)]).toHaveLength(whole);
    }),
  );
});
