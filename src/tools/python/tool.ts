import { z } from 'zod';
import type { ToolSchema } from '../../text/message.ts';
import { cut } from '../middleCut.ts';
import { type ToolProfile, toolPresets } from '../profile.ts';
import { toolSchema } from '../schema.ts';
import { type Tool, ToolError } from '../tool.ts';
import type { PythonPool, PythonResult, PythonSession } from './pool.ts';

/** What runs the code of one trajectory. */
export type Interpreter = Pick<PythonSession, 'run' | 'close'>;

/** The code interpreter as a tool of one trajectory, with the pool's time limit; closing the tool closes the session. */
export function pythonTool(session: Interpreter, profile: ToolProfile = toolPresets.python): Tool {
  const { argument, outputChars } = profile;
  const observed = (output: string) => (outputChars === undefined ? output : cut(output, outputChars, profile));
  return {
    ...described(profile),
    async execute(args, signal) {
      const code = args[argument] as string;
      // A final expression is shown; None is not.
      const { output, error } = await session.run(profile.results === 'value' ? code : `${code}\nNone`, signal);
      if (error) throw new ToolError(error, observed(output));
      return observed(output) || '(no output)';
    },
    limitsTime: true,
    limitsOutput: outputChars !== undefined,
    origin: { kind: 'code', argument },
    close: () => session.close(),
  };
}

/** What the model is shown of a profile's tool. */
export function profileSchema(profile: ToolProfile): ToolSchema {
  return toolSchema(described(profile));
}

/** By the name of the argument: trajectories share them. */
const parameters = new Map<string, z.ZodObject>();

function described({ name, description, argument }: ToolProfile) {
  if (!parameters.has(argument)) {
    parameters.set(argument, z.object({ [argument]: z.string().describe('The Python code to run.') }));
  }
  return { name, description, parameters: parameters.get(argument)! };
}

/** What a profile's tool runs code in: a session, or for every call one of its own. */
export function interpreterOf(pool: PythonPool, { state }: ToolProfile): Interpreter {
  return state === 'kept' ? pool.session() : new FreshSessions(pool);
}

class FreshSessions implements Interpreter {
  readonly #pool: PythonPool;

  constructor(pool: PythonPool) {
    this.#pool = pool;
  }

  async run(source: string, signal?: AbortSignal): Promise<PythonResult> {
    const session = this.#pool.session();
    try {
      return await session.run(source, signal);
    } finally {
      await session.close();
    }
  }

  async close(): Promise<void> {}
}
