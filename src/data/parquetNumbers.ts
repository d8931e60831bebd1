import type { SchemaTree } from 'hyparquet';
import { isListLike, isMapLike } from 'hyparquet/src/schema.js';
import { isObject, mapObject, numberAsWritten, pythonFloat } from '../json.ts';

/**
 * A column's value with its numbers as Python's readers write them, which is what others have trained on: 64-bit integers exactly,
 * and doubles with a point or an exponent.
 */
export function withNumbers(value: unknown, schema: SchemaTree): unknown {
  if (typeof value === 'bigint') return numberAsWritten(String(value));
  if (typeof value === 'number') return isFloat(schema) ? pythonFloat(value) : value;
  if (Array.isArray(value)) return value.map(item => withNumbers(item, itemSchema(schema)));
  if (!isObject(value) || value instanceof Date || ArrayBuffer.isView(value)) return value;
  return mapObject(value, (name, item) => [name, withNumbers(item, fieldSchema(schema, name))]);
}

function isFloat({ element }: SchemaTree): boolean {
  return element.type === 'DOUBLE' || element.type === 'FLOAT';
}

/** What the items of a list are; a repeated field is a list of itself. */
function itemSchema(list: SchemaTree): SchemaTree {
  if (!isListLike(list)) return list;
  const [repeated] = list.children;
  return repeated.children.length === 1 ? repeated.children[0] : repeated;
}

function fieldSchema(parent: SchemaTree, name: string): SchemaTree {
  const fields = isMapLike(parent) ? parent.children[0].children : parent.children;
  const wanted = isMapLike(parent) ? 'value' : name;
  return fields.find(({ element }) => element.name === wanted) ?? parent;
}
