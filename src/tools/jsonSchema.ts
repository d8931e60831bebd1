import type { JsonSchemaType } from '@modelcontextprotocol/client';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/client/validators/ajv';
import type { JsonSchemaParameters } from './tool.ts';

const validator = new AjvJsonSchemaValidator();

/** Parameters of a tool whose schema was written elsewhere. @throws Error where it cannot be read */
export function jsonSchemaParameters(jsonSchema: Record<string, unknown>): JsonSchemaParameters {
  const check = validator.getValidator(jsonSchema as JsonSchemaType);
  return { jsonSchema, problem: args => check(args).errorMessage };
}
