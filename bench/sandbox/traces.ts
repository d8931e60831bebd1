import type { PythonPool } from '../../src/tools/python/pool.ts';
import { fingerprint } from './fingerprint.ts';

const begin = 'import random\nmine = [random.random()]\nown = open("own", "w+"); own.write("mine"); own.flush()';
const goOn = 'mine.append(random.random()); own.seek(0); print(mine, own.read())\nprint(input())';
const program = 'print(input(), open(0).read().split())\nimport sys; sys.stderr.write("no output")';

/** Looks for what code leaves behind, by what others see of their interpreter with and without it. */
export class Traces {
  readonly #pool: PythonPool;
  #quiet?: Promise<string[]>;

  /** @param pool one of a single worker, so that all share an interpreter */
  constructor(pool: PythonPool) {
    this.#pool = pool;
  }

  /** The lines that others see otherwise when this code runs beside and before them. */
  async of(code: string): Promise<string[]> {
    this.#quiet ??= this.#seenBeside('pass');
    const [quiet, seen] = [await this.#quiet, await this.#seenBeside(code)];
    return seen.flatMap((line, i) => (line === quiet[i] ? [] : [`${line} in place of ${quiet[i]}`]));
  }

  /** What three see: a session that waits meanwhile, one that comes after, and a program. */
  async #seenBeside(code: string): Promise<string[]> {
    const pool = this.#pool;
    const [waiting, attacker, next] = [pool.session(), pool.session(), pool.session()];
    await waiting.run(begin);
    await attacker.run(code);
    const outputs = [await waiting.run(goOn), await next.run(fingerprint)];
    await attacker.close();
    await pool.runProgram(code, 'left\n');
    outputs.push(await pool.runProgram(program, 'first\nmore words\n'));
    const last = pool.session();
    outputs.push(await last.run(fingerprint));
    for (const session of [waiting, next, last]) await session.close();
    return outputs.flatMap(({ output, error }) => [...output.split('\n'), `error: ${error}`]);
  }
}
