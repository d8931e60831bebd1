import { expect, onTestFinished, test, vi } from 'vitest';
import { keepMeasured, keptTiles } from '../../../src/engine/local/measurements.ts';
import { defaultTiles, type Tiles, tileCandidates } from '../../../src/tensor/gpu/tiles.ts';
import { temporaryFolder } from '../tinyModel.ts';

test('each GPU has its own tiles, where they are known', () => {
  vi.stubEnv('XDG_CACHE_HOME', temporaryFolder());
  onTestFinished(() => void vi.unstubAllEnvs());
  const last = Object.fromEntries(
    Object.entries(tileCandidates).map(([rows, tiles]) => [rows, tiles.at(-1)]),
  ) as unknown as Tiles;
  expect(keptTiles('one')).toEqual(defaultTiles);
  keepMeasured({ tiles: { one: last } });
  keepMeasured({ tiles: { another: { ...last, some: { rows: 3, columns: 5, threads: [1000, 1] } } } });
  expect(keptTiles('one')).toEqual(last);
  expect(keptTiles('another')).toEqual({ ...last, some: defaultTiles.some });
  expect(keptTiles('a third')).toEqual(defaultTiles);
});
