import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openAgent } from '../../src/chat/openAgent.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const folder = temporaryFolder(afterAll);

/** A module of tools, which tells what it closes. */
function toolModule(name: string, exported: string): string {
  const path = join(folder, `${name}.mjs`);
  const zod = import.meta.resolve('zod');
  writeFileSync(path, `import { z } from '${zod}';\nconst parameters = z.object({});\n${exported}\n`);
  return path;
}

test('a list is shared by all dialogues and closed at the end; a function makes tools for each', async () => {
  globalThis.closed = [];
  const shared = toolModule(
    'shared',
    "export default [{ name: 'shared', parameters, execute: () => '', endsTrajectory: () => true, close: () => void globalThis.closed.push('shared') }];",
  );
  const own = toolModule(
    'own',
    `let made = 0;
    const tool = n => ({ name: 'own', description: String(n), parameters, execute: () => '', close: () => void closed.push(n) });
    export default () => [tool(++made)];`,
  );
  const agent = await openAgent({ tools: [shared, own], system: 'Be short.' }, {});
  expect(agent.messages).toEqual([{ role: 'system', content: 'Be short.' }]);
  const [first, second] = [await agent.tools(), await agent.tools()];
  expect([first[1].description, second[1].description]).toEqual(['1', '2']);
  expect([first[0].endsTrajectory?.(), first[1].endsTrajectory]).toEqual([true, undefined]);
  for (const tool of [...first, ...second]) await tool.close?.();
  expect(globalThis.closed).toEqual([1, 2]);
  await agent.close();
  expect(globalThis.closed).toEqual([1, 2, 'shared']);
});

test('what was made beside tools that cannot be made is closed', async () => {
  globalThis.closed = [];
  const own = toolModule(
    'made',
    "export default () => [{ name: 'own', parameters, execute: () => '', close: () => void closed.push('own') }];",
  );
  const broken = toolModule('broken', "export default () => { throw new Error('no power'); };");
  const agent = await openAgent({ tools: [own, broken] }, {});
  await expect(agent.tools()).rejects.toThrow(/broken\.mjs: its function \(kit\) => Tool\[\] failed: no power/);
  expect(globalThis.closed).toEqual(['own']);
  await agent.close();
});

test('tools of one name are refused, and so is a world beside tools', async () => {
  const agent = await openAgent({ tools: ['python', 'python'] }, {});
  await expect(agent.tools()).rejects.toThrow('two tools are named python');
  await agent.close();
  await expect(openAgent({ tools: ['python'], world: 'shop' }, {})).rejects.toThrow(/cannot go together/);
});

test("a world's agent has the tools of its task, and what the task says of them", async () => {
  const agent = await openAgent({ world: 'shop', task: 3 }, {});
  expect(agent.task!.id).toMatch(/test\/3$/);
  expect((await agent.tools()).map(({ name }) => name)).toContain('python');
  await agent.close();
});

declare global {
  var closed: (string | number)[];
}
