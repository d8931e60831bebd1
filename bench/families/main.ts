/** Makes the tiny model of each family in test/vectors anew, with what transformers (PyPI) computes: `npm run bench:families`. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { currentPython } from '../engine/install.ts';

const path = (url: string) => fileURLToPath(new URL(url, import.meta.url));

execFileSync(currentPython(), [path('vectors.py'), path('../../test/vectors')], { stdio: 'inherit' });
