import { z } from 'zod';
import { defineTool } from '../../src/index.ts';
import { weather, weatherTool } from '../serve/weatherModel.ts';

const { name, description } = weatherTool.function;

/** For `sod chat --tools`: the weather, and in Rome a call that never ends. */
export default [
  defineTool({
    name,
    description,
    parameters: z.object({ city: z.string() }),
    execute: ({ city }) => (city === 'Rome' ? new Promise(() => {}) : weather(city)),
  }),
];
