import { z } from 'zod';
import { stringifyJson } from '../../json.ts';
import type { CodeTests } from '../task.ts';
import { asJson, maybe } from './columns.ts';

const value = z.unknown();

/**
 * Tests of a program: pairs of what it reads and what it has to write; or, with `fn_name`, of a function's arguments, one
 * JSON value a line, and its result as JSON. Arguments and results that are no text are written as JSON.
 */
export const codeTests = asJson(
  z.object(
    {
      inputs: z.array(value, 'must be a list').min(1, 'has no test'),
      outputs: z.array(value, 'must be a list'),
      fn_name: maybe(z.string('must be text')),
    },
    'must hold tests: inputs, outputs and, for a function, fn_name',
  ),
).transform(({ inputs, outputs, fn_name: fnName }, context): CodeTests => {
  if (inputs.length !== outputs.length) {
    context.addIssue({ code: 'custom', message: `has ${inputs.length} inputs and ${outputs.length} outputs` });
    return z.NEVER;
  }
  if (!fnName) {
    const unreadable = [...inputs, ...outputs].find(item => typeof item !== 'string');
    if (unreadable !== undefined) {
      context.addIssue({ code: 'custom', message: 'inputs and outputs of a program must be text' });
      return z.NEVER;
    }
    return { inputs: inputs as string[], outputs: outputs as string[] };
  }
  return { fnName, inputs: inputs.map(argumentLines), outputs: outputs.map(jsonText) };
});

function argumentLines(input: unknown): string {
  if (typeof input === 'string') return input;
  return Array.isArray(input) ? input.map(argument => stringifyJson(argument)).join('\n') : stringifyJson(input);
}

function jsonText(output: unknown): string {
  return typeof output === 'string' ? output : stringifyJson(output);
}
