/** The layouts of tests of a program: examples, assertions, or a function that checks another one. */
import { z } from 'zod';
import { stringifyJson, WrittenNumber } from '../../json.ts';
import type { CodeTests, ExampleTests } from '../task.ts';
import { asLiteral, literalOr, maybe, parsed } from './columns.ts';

const value = z.unknown();

/** Pairs of what is read and what has to be written; or, with `fn_name`, of a function's arguments and its result. */
const examples = z.object({
  inputs: asLiteral(z.array(value, 'must be a list').min(1, 'has no test')),
  outputs: asLiteral(z.array(value, 'must be a list')),
});

/**
 * Tests of a program, as they are or as JSON or a literal of Python, and their lists so as well:
 * `import_prefix`, `test_code` and `entry_point`, in which `check` is called with the entry point; else `assert_case`, a
 * statement or a list of them; else `inputs` and `outputs`, for a function with `fn_name`. Of a function's, arguments and
 * results that are no text are written as JSON, one argument a line.
 */
export const codeTests = asLiteral(
  z.object(
    {
      import_prefix: maybe(z.string('must be text')),
      test_code: maybe(z.string('must be text')),
      entry_point: maybe(z.string('must be text')),
      assert_case: maybe(
        literalOr(
          z
            .union([z.string(), z.array(z.string())], 'must be text or a list of it')
            .transform(cases => (typeof cases === 'string' ? [cases] : cases)),
        ),
      ),
      inputs: value.optional(),
      outputs: value.optional(),
      fn_name: maybe(z.string('must be text')),
    },
    'must hold tests: inputs, outputs and, for a function, fn_name; or assert_case; or test_code and entry_point',
  ),
).transform((row, context): CodeTests => {
  const {
    test_code: testCode,
    assert_case: assertions,
    import_prefix: prefix,
    entry_point: entry,
    fn_name: name,
  } = row;
  if (testCode && !entry) {
    context.addIssue({ code: 'custom', path: ['entry_point'], message: 'must say what test_code checks' });
    return z.NEVER;
  }
  const checks = testCode ? [`${testCode}\ncheck(${entry})`] : assertions?.filter(check => check.trim() !== '');
  if (checks?.length) {
    const fnName = name || lastName(entry) || calledIn(checks[0]);
    return { checks, ...(prefix && { prefix }), ...(fnName && { fnName }) };
  }
  const { inputs, outputs } = parsed(examples, { inputs: row.inputs, outputs: row.outputs }, context);
  return inputs && exampleTests(inputs, outputs, name || undefined, context);
});

/** Whether a ground truth holds tests rather than an answer. */
export function holdsTests(truth: unknown): boolean {
  const names = /test_code|assert_case|inputs/;
  if (typeof truth === 'string') return /^\s*\{/.test(truth) && names.test(truth.slice(0, 10_000));
  return typeof truth === 'object' && truth !== null && Object.keys(truth).some(key => names.test(key));
}

/** The function that `Solution().total` or `total` names. */
function lastName(entryPoint = ''): string | undefined {
  return /\w+$/.exec(entryPoint.trim())?.[0];
}

/** The function that an assertion calls first. */
function calledIn(check: string): string | undefined {
  return /\bassert\b.*?\b(\w+)\(/s.exec(check)?.[1];
}

function exampleTests(
  inputs: unknown[],
  outputs: unknown[],
  fnName: string | undefined,
  context: z.core.$RefinementCtx,
): ExampleTests {
  const wrong =
    inputs.length !== outputs.length
      ? `has ${inputs.length} inputs and ${outputs.length} outputs`
      : !fnName && ![...inputs, ...outputs].every(isWritten)
        ? 'inputs and outputs of a program must be text'
        : undefined;
  if (wrong) {
    context.addIssue({ code: 'custom', message: wrong });
    return z.NEVER;
  }
  if (!fnName) return { inputs: inputs.map(String), outputs: outputs.map(String) };
  return { fnName, inputs: inputs.map(argumentLines), outputs: outputs.map(jsonText) };
}

/** Whether a program can read and write it: text, or a number. */
function isWritten(item: unknown): boolean {
  return typeof item === 'string' || typeof item === 'number' || item instanceof WrittenNumber;
}

function argumentLines(input: unknown): string {
  if (typeof input === 'string') return input;
  return Array.isArray(input) ? input.map(argument => stringifyJson(argument)).join('\n') : stringifyJson(input);
}

function jsonText(output: unknown): string {
  return typeof output === 'string' ? output : stringifyJson(output);
}
