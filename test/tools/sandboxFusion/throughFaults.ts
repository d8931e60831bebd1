import { Random } from '../../../src/random.ts';
import { callTool } from '../../../src/tools/call.ts';
import { pythonTool } from '../../../src/tools/python/tool.ts';
import { servedInterpreter } from '../../../src/tools/sandboxFusion/interpreter.ts';
import { SandboxFusion } from '../../../src/tools/sandboxFusion/server.ts';
import { faultyProxy, sometimes } from '../../http/faultyProxy.ts';
import { fusionServer } from './fusionServer.ts';

/**
 * So many calls at once of a server that runs four programs at a time, behind a network that breaks: what of it met them, and
 * those whose observation or error was another than the code's own.
 */
export async function throughFaults(calls: number) {
  const fusion = await fusionServer({ maxConcurrency: 4 });
  const proxy = await faultyProxy(fusion.url);
  const server = await SandboxFusion.open({ url: proxy.url, concurrency: 16 }, { firstPauseMs: 1 });
  try {
    const tool = pythonTool(servedInterpreter(server, 5000));
    const random = Random.of('troubles');
    const met = { crash: 0, SandboxError: 0, late: 0 };
    fusion.next = () => {
      const trouble = ([undefined, 'crash', 'SandboxError', 'late'] as const)[Math.max(0, random.below(8) - 4)];
      if (trouble) met[trouble]++;
      return trouble === 'late' ? { lateMs: 20 } : trouble;
    };
    proxy.next = sometimes(Random.of('network'), 0.3);
    const call = (i: number) => callTool([tool], { name: 'python', arguments: { code: `${i} // ${i % 10}` } });
    const results = await Promise.all(Array.from({ length: calls }, (_, i) => call(i)));
    const wrong = results.filter(({ observation, error }, i) =>
      i % 10 === 0
        ? error !== 'exception' || !observation.includes('ZeroDivisionError')
        : error !== undefined || observation !== `${Math.floor(i / (i % 10))}\n`,
    );
    return { wrong, broken: proxy.made, met, requests: fusion.requests.length, mostAtOnce: fusion.mostAtOnce };
  } finally {
    server.close();
    await proxy.close();
    await fusion.close();
  }
}
