import { z } from 'zod';
import type { ToolSchema } from '../text/message.ts';
import { shownSchema } from '../text/shownSchema.ts';
import type { Tool } from './tool.ts';

/** Every trajectory has tools of its own, whose parameters are mostly the same ones. */
const shown = new WeakMap<z.ZodObject, Record<string, unknown>>();

/** What the model is shown of a tool. */
export function toolSchema({
  name,
  description,
  parameters,
}: Partial<Tool> & Pick<Tool, 'name' | 'description' | 'parameters'>): ToolSchema {
  if (!shown.has(parameters)) {
    shown.set(parameters, shownSchema(z.toJSONSchema(parameters, { io: 'input', target: 'draft-7' })));
  }
  return { name, description, parameters: shown.get(parameters)! };
}
