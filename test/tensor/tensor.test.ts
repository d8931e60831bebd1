import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { native } from '../../src/tensor/cpu/native.ts';
import { scope, Tensor, unscoped } from '../../src/tensor/tensor.ts';

const { read, write, release } = native();
let before: ReturnType<ReturnType<typeof native>['memory']>;
beforeEach(() => {
  before = native().memory();
});
afterEach(() => {
  const { liveBytes, resources } = native().memory();
  expect({ liveBytes, resources }).toEqual({ liveBytes: before.liveBytes, resources: before.resources });
});

/** The nearest bf16 number, of two equally near the one with an even fraction, found by trying both neighbours. */
function nearestBf16(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer)[0];
  const number = (high: number) => new Float32Array(Uint32Array.of(high << 16).buffer)[0];
  if (!Number.isFinite(x)) return x;
  const down = bits >>> 16;
  // Beyond the largest finite number comes infinity, which stands where the next power of two would.
  const value = (high: number) => (Number.isFinite(number(high)) ? number(high) : Math.sign(x) * 2 ** 128);
  const [below, above] = [Math.abs(x - value(down)), Math.abs(value(down + 1) - x)];
  const chosen = below < above || (below === above && down % 2 === 0) ? down : down + 1;
  return number(chosen);
}

const anyFloat = fc.oneof(
  fc.float(),
  fc.integer({ min: 0, max: 0xffff }).map(high => new Float32Array(Uint32Array.of(high * 65536 + 0x8000).buffer)[0]),
  fc.nat({ max: 0xffffffff }).map(bits => new Float32Array(Uint32Array.of(bits).buffer)[0]),
);

describe('bf16', () => {
  it('rounds to nearest, ties to even, when written and when converted', () => {
    fc.assert(
      fc.property(fc.array(anyFloat, { minLength: 1, maxLength: 40 }), numbers => {
        const data = Float32Array.from(numbers);
        const expected = data.map(nearestBf16);
        scope(() => {
          expect(Tensor.from(data, [data.length], 'bf16').floats()).toEqual(expected);
          expect(Tensor.from(data).converted('bf16').floats()).toEqual(expected);
        });
      }),
      { numRuns: 500 },
    );
  });

  it('goes to f32 and back unchanged, whatever its bits', () => {
    const every = Uint16Array.from({ length: 65536 }, (_, i) => i);
    scope(() => {
      const half = Tensor.allocate('bf16', [65536]);
      write(half.id, every);
      const back = half.converted('f32').converted('bf16');
      const expected = Float32Array.from(every, bits => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]);
      expect(half.floats()).toEqual(expected);
      expect(back.floats()).toEqual(expected);
    });
  });
});

describe('tensors', () => {
  it('give back what was written', () => {
    scope(() => {
      const floats = Float32Array.of(1.5, Number.NaN, -0, 1e-40);
      const ints = Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1);
      expect(Tensor.from(floats, [2, 2]).floats()).toEqual(floats);
      expect(Tensor.from(ints).ints()).toEqual(ints);
      expect(Tensor.zeros('f32', [3, 0]).floats()).toEqual(new Float32Array());
      expect(Tensor.from(floats).zero().floats()).toEqual(new Float32Array(4));
    });
  });

  it('take shared memory', () => {
    const shared = new Float32Array(new SharedArrayBuffer(16), 4, 3).fill(2);
    scope(() => expect(Tensor.from(shared).floats()).toEqual(Float32Array.of(2, 2, 2)));
  });

  it('refuse data of another length or type', () => {
    scope(() => {
      const t = Tensor.zeros('f32', [3]);
      expect(() => t.write(new Float32Array(4))).toThrow('write: data has 4 elements, the tensor 3');
      expect(() => t.write(new Int32Array(3))).toThrow('write: data does not fit dtype f32');
      expect(() => t.write([1, 2, 3] as never)).toThrow('write: data must be a typed array');
      expect(() => Tensor.zeros('i32', [3]).converted('f32')).toThrow('convert: x has dtype i32, expected f32 or bf16');
    });
  });

  it('share memory with their views, which keep it alive', () => {
    const whole = Tensor.from(Float32Array.of(0, 1, 2, 3, 4, 5));
    const view = whole.view(2, [3, 1]);
    view.write(Float32Array.of(7, 8, 9));
    expect([...whole.floats()]).toEqual([0, 1, 7, 8, 9, 5]);
    whole.free();
    expect([...view.floats()]).toEqual([7, 8, 9]);
    view.free();
    view.free();
  });

  it('refuse views beyond their end', () => {
    scope(() => {
      const t = Tensor.zeros('f32', [4]);
      expect(t.view(4, [0]).size).toBe(0);
      expect(() => t.view(2, [3])).toThrow('view: shape reaches beyond the tensor');
      expect(() => t.view(5, [0])).toThrow('view: offset must be an integer from 0 to 4');
      expect(() => t.view(-1, [1])).toThrow('view: offset');
    });
  });

  it('are gone once freed, even when their place is taken', () => {
    const freed = native().allocate('f32', [2]);
    release(freed);
    const other = native().allocate('f32', [2]);
    expect(() => read(freed)).toThrow('read: tensor is not a live tensor');
    release(freed);
    expect(read(other).length).toBe(2);
    release(other);
  });
});

describe('a scope', () => {
  it('frees what was made in it, but for what it returns', () => {
    scope(() => {
      const [kept] = scope(() => [Tensor.from(Float32Array.of(1)), Tensor.from(Float32Array.of(2))].slice(0, 1));
      expect([...kept.floats()]).toEqual([1]);
      expect(native().memory().resources).toBe(before.resources + 1);
    });
  });

  it('frees everything when it fails', () => {
    expect(() =>
      scope(() => {
        Tensor.zeros('f32', [10]);
        throw new Error('half way');
      }),
    ).toThrow('half way');
  });

  it('leaves alone what is made outside all scopes', () => {
    const tensor = scope(() => ({ inside: unscoped(() => Tensor.zeros('f32', [10])) })).inside;
    expect(tensor.floats().length).toBe(10);
    tensor.free();
  });
});

test('freed memory is kept for reuse until it is trimmed', () => {
  native().trim();
  Tensor.zeros('f32', [1000]).free();
  expect(native().memory().pooledBytes).toBeGreaterThanOrEqual(4000);
  const pooled = native().memory().pooledBytes;
  Tensor.zeros('f32', [999]).free();
  expect(native().memory().pooledBytes).toBe(pooled);
  native().trim();
  expect(native().memory().pooledBytes).toBe(0);
});
