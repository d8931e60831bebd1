import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { callTool } from '../../src/tools/call.ts';
import { cutMiddle, MiddleCut } from '../../src/tools/middleCut.ts';
import { toolSchema } from '../../src/tools/schema.ts';
import { defineTool, ToolError } from '../../src/tools/tool.ts';

const add = defineTool({
  name: 'add',
  description: 'Adds two numbers.',
  parameters: z.object({ a: z.number().describe('first'), b: z.number().default(1) }),
  execute: ({ a, b }) => String(a + b),
});
const failing = (error: unknown) =>
  defineTool({
    name: 'fail',
    description: '',
    parameters: z.object({}),
    execute: () => {
      throw error;
    },
  });
const never = defineTool({
  name: 'never',
  description: '',
  parameters: z.object({}),
  execute: () => new Promise<string>(() => {}),
});

describe('toolSchema', () => {
  test('is the JSON Schema of the parameters, of what the model must give', () => {
    expect(toolSchema(add)).toEqual({
      name: 'add',
      description: 'Adds two numbers.',
      parameters: {
        type: 'object',
        properties: { a: { type: 'number', description: 'first' }, b: { type: 'number', default: 1 } },
        required: ['a'],
      },
    });
  });
});

describe('callTool', () => {
  test('answers with what the tool returns, defaults filled in', async () => {
    expect(await callTool([add], { name: 'add', arguments: { a: 2 } })).toEqual({ observation: '3' });
  });

  test('an unknown tool is told which tools there are', async () => {
    const result = await callTool([add, never], { name: 'sum', arguments: {} });
    expect(result.error).toBe('unknown_tool');
    expect(result.observation).toContain('"sum"');
    expect(result.observation).toContain('add, never');
  });

  test('invalid arguments are told which argument and what is expected', async () => {
    const result = await callTool([add], { name: 'add', arguments: { a: 'two' } });
    expect(result.error).toBe('invalid_arguments');
    expect(result.observation).toMatch(/- a: .*expected number/);
  });

  test.each([
    [new Error('out of paper'), { observation: 'Error: out of paper', error: 'exception' }],
    ['a string', { observation: 'Error: a string', error: 'exception' }],
    [undefined, { observation: 'Error: undefined', error: 'exception' }],
    [new ToolError('timeout', 'too late'), { observation: 'too late', error: 'timeout' }],
  ])('what a tool throws becomes the observation: %s', async (error, result) => {
    expect(await callTool([failing(error)], { name: 'fail', arguments: {} })).toEqual(result);
  });

  test('a tool that never answers times out', async () => {
    const result = await callTool([never], { name: 'never', arguments: {} }, { timeoutMs: 20 });
    expect(result.error).toBe('timeout');
  });

  test('an abort is the only thing that gets out', async () => {
    const abort = new AbortController();
    const result = callTool([never], { name: 'never', arguments: {} }, {}, abort.signal);
    abort.abort(new Error('stopped by hand'));
    await expect(result).rejects.toThrow('stopped by hand');
  });
});

describe('cutMiddle', () => {
  test('keeps both ends within the limit, and counts what is missing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.integer({ min: 60, max: 200 }), (text, limit) => {
        const cut = cutMiddle(text, limit);
        if (text.length <= limit) return cut === text;
        const [, head, missing, tail] = cut.match(/^(.*)\n… \[(\d+) characters cut\] …\n(.*)$/su)!;
        expect(cut.length).toBeLessThanOrEqual(limit);
        expect(text.startsWith(head) && text.endsWith(tail)).toBe(true);
        expect(head.length + Number(missing) + tail.length).toBe(text.length);
        expect(encodeURIComponent(head + tail)).toBeDefined();
      }),
    );
  });

  test('does not depend on how the text arrives', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 90 })), pieces => {
        const cut = new MiddleCut(60);
        for (const piece of pieces) cut.push(piece);
        expect(cut.toString()).toBe(cutMiddle(pieces.join(''), 60));
      }),
    );
  });
});
