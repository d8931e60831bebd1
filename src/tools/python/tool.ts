import { z } from 'zod';
import { defineTool, type Tool, ToolError } from '../tool.ts';
import type { PythonSession } from './pool.ts';

const parameters = z.object({ code: z.string().describe('The Python code to run.') });

/** The code interpreter as a tool of one trajectory, with the pool's time limit; closing the tool closes the session. */
export function pythonTool(session: PythonSession): Tool {
  return defineTool({
    name: 'python',
    description:
      'Runs Python code and returns what it prints and the value of its final expression. ' +
      'Variables are kept between calls. Only the standard library; no files of the host, no network.',
    parameters,
    async execute({ code }, signal) {
      const { output, error } = await session.run(code, signal);
      if (error) throw new ToolError(error, output);
      return output || '(no output)';
    },
    limitsTime: true,
    close: () => session.close(),
  });
}
