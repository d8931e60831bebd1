/**
 * Runs all hostile code that is collected here, that which kills its interpreter included, and says what others could see
 * of it: `npm run bench:sandbox`. Exits with 1 if that is anything.
 */
import { PythonPool } from '../../src/tools/python/pool.ts';
import { hostile, lethal } from './hostile.ts';
import { Traces } from './traces.ts';

const pool = new PythonPool({ timeoutMs: 1500, maxOutputChars: 200_000 });
const traces = new Traces(pool);
let [count, failures] = [0, 0];
for (const [aim, codes] of Object.entries({ ...hostile, interpreter: lethal })) {
  const began = performance.now();
  for (const code of codes) {
    const found = await traces.of(code);
    count++;
    if (found.length === 0) continue;
    failures++;
    console.log(`${code}\n${found.map(line => `    ${line}\n`).join('')}`);
  }
  console.log(`${aim.padEnd(12)} ${codes.length} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}
await pool.close();
console.log(`${count} snippets, of which ${failures} left something behind`);
process.exitCode = failures > 0 ? 1 : 0;
