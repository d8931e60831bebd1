/**
 * Writes a random checkpoint of Qwen3-0.6B's shape.
 *
 *   npx tsx bench/qwen3Checkpoint.ts models/qwen3-0.6b-random
 */
import { writeRandomQwen3 } from './randomQwen3.ts';

const target = process.argv[2];
if (!target || target.startsWith('-')) {
  console.error('usage: npx tsx bench/qwen3Checkpoint.ts <folder>');
  process.exit(1);
}
const parameters = await writeRandomQwen3(target);
console.log(`${target}: ${(parameters / 1e6).toFixed(0)}M parameters, random`);
