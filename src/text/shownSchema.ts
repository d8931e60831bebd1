import { isObject } from '../json.ts';

type Schema = Record<string, unknown>;

/** In this order; what is not among them comes behind it, by name. */
const order = [
  ...['type', 'properties', 'required', 'items', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', 'format', 'pattern'],
  ...['minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems', 'description', 'default'],
];
/** What only validators read, or what says a second time how a parameter is called. */
const untold = new Set(['$schema', '$id', '$comment', 'title']);
const holdSchemas = new Set(['properties', 'patternProperties', '$defs', 'definitions']);
const areSchemas = new Set(['items', 'additionalProperties', 'anyOf', 'oneOf', 'allOf', 'prefixItems', 'not']);

/**
 * A JSON Schema of parameters as models are shown it, in training and afterwards: whichever library wrote it, in whichever order,
 * it is the same text. What tells a model nothing, such as `additionalProperties: false`, costs no tokens.
 */
export function shownSchema(schema: Schema): Schema {
  const told = Object.entries(oneType(schema)).filter(([key, value]) => !untold.has(key) && tells(key, value));
  const place = (key: string) => (order.includes(key) ? order.indexOf(key) : order.length);
  told.sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1));
  return Object.fromEntries(told.map(([key, value]) => [key, shownValue(key, value)]));
}

function shownValue(key: string, value: unknown): unknown {
  if (areSchemas.has(key)) return Array.isArray(value) ? value.map(shownAny) : shownAny(value);
  if (!holdSchemas.has(key) || !isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, shownAny(schema)]));
}

function shownAny(schema: unknown): unknown {
  return isObject(schema) ? shownSchema(schema) : schema;
}

function tells(key: string, value: unknown): boolean {
  switch (key) {
    case 'additionalProperties':
      return value !== false;
    case 'required':
      return !Array.isArray(value) || value.length > 0;
    case 'default':
      return value !== null;
    case 'minimum':
    case 'maximum':
      return Math.abs(Number(value)) !== Number.MAX_SAFE_INTEGER;
    case 'propertyNames':
      return JSON.stringify(value) !== '{"type":"string"}';
    default:
      return true;
  }
}

/** `anyOf` of nothing but types says what a list of types says. */
function oneType(schema: Schema): Schema {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf) || rest.type !== undefined) return schema;
  const isType = (choice: unknown) =>
    isObject(choice) && typeof choice.type === 'string' && Object.keys(choice).length === 1;
  return anyOf.every(isType) ? { ...rest, type: anyOf.map(({ type }) => type) } : schema;
}
