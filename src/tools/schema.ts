import { z } from 'zod';
import type { ToolSchema } from '../text/message.ts';
import type { Tool } from './tool.ts';

/** What the model is shown of a tool: its parameters as JSON Schema, without what only validators read. */
export function toolSchema(tool: Tool): ToolSchema {
  const schema = z.toJSONSchema(tool.parameters, { io: 'input', target: 'draft-7' });
  return { name: tool.name, description: tool.description, parameters: shownParameters(schema) };
}

/** A JSON Schema of parameters as models are shown it: the same whether it was trained on or comes from a client. */
export function shownParameters({ $schema: _, ...schema }: Record<string, unknown>): Record<string, unknown> {
  return withoutAdditionalProperties(schema) as Record<string, unknown>;
}

/** Drops `additionalProperties: false`, which costs prompt tokens in every object and tells the model nothing. */
function withoutAdditionalProperties(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutAdditionalProperties);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key, value]) => key !== 'additionalProperties' || value !== false);
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutAdditionalProperties(value)]));
}
