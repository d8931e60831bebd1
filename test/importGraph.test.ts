import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

/** The files of `folder`, each with those that it imports, types and what it gets later among them. */
function importGraph(folder: string): Map<string, string[]> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(file => /\.tsx?$/.test(file));
  return new Map(files.map(file => [join(folder, file), importsOf(join(folder, file))]));
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const found = text.matchAll(/^(?:import|export)\s+(?:[^;'"]*?\s*from\s*)?'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm);
  return [...found].map(([, now, later]) => join(dirname(file), now ?? later));
}

/** A way from a file back to itself, if there is one. */
function circle(graph: Map<string, string[]>): string[] | undefined {
  const finished = new Set<string>();
  const follow = (file: string, path: string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (finished.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const found = follow(next, [...path, file]);
      if (found) return found;
    }
    finished.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const found = follow(file, []);
    if (found) return found;
  }
  return undefined;
}

test('no file imports itself by way of others', () => {
  const graph = importGraph('src');
  expect(graph.get('src/cli.ts')!.length).toBeGreaterThan(0);
  const unknown = [...graph.values()].flat().filter(file => !graph.has(file));
  expect(unknown).toEqual([]);
  expect(circle(graph)).toBeUndefined();
});

test('only the CPU as a device knows the native module', () => {
  const graph = importGraph('src');
  const users = [...graph].filter(([, imports]) => imports.includes('src/tensor/cpu/native.ts')).map(([file]) => file);
  expect(users).toEqual(['src/tensor/cpu/cpu.ts']);
});

test('a circle is found, however long the way', () => {
  const line: [string, string[]][] = [
    ['a', ['b', 'd']],
    ['b', ['c']],
    ['c', ['d']],
    ['d', []],
  ];
  expect(circle(new Map(line))).toBeUndefined();
  expect(circle(new Map([...line, ['d', ['b']]]))).toEqual(['b', 'c', 'd', 'b']);
});
