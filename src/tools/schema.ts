import { z } from 'zod';
import { isObject } from '../json.ts';
import type { ToolSchema } from '../text/message.ts';
import type { Tool } from './tool.ts';

/** Every trajectory has tools of its own, whose parameters are mostly the same ones. */
const shown = new WeakMap<z.ZodObject, Record<string, unknown>>();

/** What the model is shown of a tool: its parameters as JSON Schema, without what only validators read. */
export function toolSchema({ name, description, parameters }: Tool): ToolSchema {
  if (!shown.has(parameters)) {
    shown.set(parameters, shownParameters(z.toJSONSchema(parameters, { io: 'input', target: 'draft-7' })));
  }
  return { name, description, parameters: shown.get(parameters)! };
}

/** A JSON Schema of parameters as models are shown it: the same whether it was trained on or comes from a client. */
export function shownParameters({ $schema: _, ...schema }: Record<string, unknown>): Record<string, unknown> {
  return withoutAdditionalProperties(schema) as Record<string, unknown>;
}

/** Drops `additionalProperties: false`, which costs prompt tokens in every object and tells the model nothing. */
function withoutAdditionalProperties(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutAdditionalProperties);
  if (!isObject(schema)) return schema;
  const kept = Object.entries(schema).filter(([key, value]) => key !== 'additionalProperties' || value !== false);
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutAdditionalProperties(value)]));
}
