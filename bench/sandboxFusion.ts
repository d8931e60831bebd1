/** Calls of a SandboxFusion server through faults of the network, its own errors, overload and lateness: none may be lost or wrong. */
import { throughFaults } from '../test/tools/sandboxFusion/throughFaults.ts';

const calls = 1000;
const { wrong, broken, met, requests, mostAtOnce } = await throughFaults(calls);
const faults = [...broken, ...Object.entries(met)].map(([what, count]) => `${what} ${count}`).join(', ');
console.log(`${calls} calls, ${requests} requests that arrived, at most ${mostAtOnce} at once; met: ${faults}`);
console.log(wrong.length === 0 ? 'All were answered, each rightly.' : `Wrong: ${JSON.stringify(wrong, null, 2)}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
