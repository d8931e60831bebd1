import { z } from 'zod';
import type { ToolSchema } from '../text/message.ts';
import { shownSchema } from '../text/shownSchema.ts';
import type { JsonSchemaParameters, Tool } from './tool.ts';

/** Every trajectory has tools of its own, whose parameters are mostly the same ones. */
const shown = new WeakMap<Tool['parameters'], Record<string, unknown>>();

/** What the model is shown of a tool. */
export function toolSchema({
  name,
  description,
  parameters,
}: Partial<Tool> & Pick<Tool, 'name' | 'description' | 'parameters'>): ToolSchema {
  if (!shown.has(parameters)) shown.set(parameters, shownSchema(jsonSchema(parameters)));
  return { name, description, parameters: shown.get(parameters)! };
}

export function isJsonSchema(parameters: Tool['parameters']): parameters is JsonSchemaParameters {
  return 'jsonSchema' in parameters;
}

function jsonSchema(parameters: Tool['parameters']): Record<string, unknown> {
  return isJsonSchema(parameters)
    ? parameters.jsonSchema
    : z.toJSONSchema(parameters, { io: 'input', target: 'draft-7' });
}
