import { UserError } from '../errors.ts';
import { isObject, plainNumbers, stringifyJson } from '../json.ts';
import type { Grammar, Sequence, Term } from './grammar.ts';
import { integerBetween } from './integers.ts';
import { anyNumber, jsonRules, literal, optional, space, stringOf } from './json.ts';

/** JSON whose value fits the schema: what `response_format` asks for. Throws a UserError as `SchemaRules.add`. */
export function jsonSchemaGrammar(schema: unknown): Grammar {
  const rules = new SchemaRules();
  const value = rules.add(schema, 'schema');
  return { rules: { ...rules.rules, root: [[value]] } };
}

/** Any JSON object. */
export function jsonObjectGrammar(): Grammar {
  return { rules: { ...jsonRules, root: [[{ rule: 'object' }]] } };
}

/** What says nothing of a value, or what a text that was sampled to the other keywords fits all the same. */
const annotations = ['$schema', '$id', '$defs', 'definitions', 'title', 'description', 'default', 'examples', 'format'];
const others = ['$comment', 'deprecated', 'readOnly', 'writeOnly', 'nullable', 'strict', 'contentEncoding'];
const keywords: Record<string, readonly string[]> = {
  any: ['type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref'],
  object: ['properties', 'required', 'additionalProperties', 'propertyNames'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
};
const known = new Set([...annotations, ...others, ...Object.values(keywords).flat()]);

type Schema = Record<string, unknown>;

const maxValues = 5_000;
const maxProperties = 500;

/**
 * Grammar rules for the values of JSON Schemas. What comes out always fits its schema, but not all that fits can come out:
 * properties come in the schema's order, without others beside named ones, and `oneOf` is read as `anyOf`.
 */
export class SchemaRules {
  readonly rules: Grammar['rules'] = { ...jsonRules };
  readonly #references = new Map<string, string>();
  #root: unknown;
  #count = 0;
  #values = 0;

  /**
   * @param where names the schema in errors
   * @throws UserError that names the place where a keyword is not supported or has no sense.
   */
  add(schema: unknown, where: string): Term {
    this.#root = schema;
    this.#references.clear();
    return this.#value(schema, where);
  }

  #value(schema: unknown, where: string): Term {
    // Alternatives are multiplied by what holds beside them: a small schema can mean a large grammar.
    if (++this.#values > maxValues)
      throw new UserError(`${where}: the schema is too large, write it with fewer choices`);
    if (schema === true || schema === undefined) return { rule: 'value' };
    if (!isObject(schema)) throw new UserError(`${where}: a JSON Schema is an object, not ${JSON.stringify(schema)}`);
    for (const keyword of Object.keys(schema)) {
      if (!known.has(keyword)) throw new UserError(`${where}: the keyword '${keyword}' is not supported`);
    }
    if (schema.$ref !== undefined) return this.#reference(schema.$ref, where);
    if (schema.const !== undefined) return literal(schema.const);
    if (schema.enum !== undefined) return this.#enumeration(schema.enum, where);
    const { allOf, ...rest } = schema;
    if (allOf !== undefined) return this.#value(merged(rest, allOf, where), where);
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices !== undefined) return this.#choice(choices, rest, where);
    return this.#typed(schema, where);
  }

  #typed(schema: Schema, where: string): Term {
    const types = [schema.type ?? impliedType(schema)].flat();
    if (types.length === 0) throw new UserError(`${where}.type: names no type`);
    return this.#any(types.map(type => [this.#oneType(type, schema, where)]));
  }

  #oneType(type: unknown, schema: Schema, where: string): Term {
    switch (type) {
      case 'any':
        return { rule: 'value' };
      case 'null':
        return literal(null);
      case 'boolean':
        return { rule: 'boolean' };
      case 'string':
        return stringOf(count(schema, 'minLength', where) ?? 0, count(schema, 'maxLength', where) ?? null);
      case 'integer':
        return this.#integer(schema, where);
      case 'number':
        return this.#number(schema, where);
      case 'array':
        return this.#array(schema, where);
      case 'object':
        return this.#object(schema, where);
      default:
        throw new UserError(`${where}.type: ${JSON.stringify(type)} is no type of JSON Schema`);
    }
  }

  #integer(schema: Schema, where: string): Term {
    const bounds = keywords.integer.map(keyword => bound(schema, keyword, where));
    const [minimum, maximum, above, below] = bounds;
    const least = Math.max(Math.ceil(minimum ?? -Infinity), above === undefined ? -Infinity : Math.floor(above) + 1);
    const most = Math.min(Math.floor(maximum ?? Infinity), below === undefined ? Infinity : Math.ceil(below) - 1);
    if (least > most) throw new UserError(`${where}: no whole number is within its bounds`);
    return this.#any(integerBetween(least, most));
  }

  #number(schema: Schema, where: string): Term {
    const least = bound(schema, 'minimum', where);
    const other = keywords.integer.slice(1).find(keyword => bound(schema, keyword, where) !== undefined);
    if (other || (least !== undefined && least !== 0)) {
      throw new UserError(
        `${where}: of the bounds of a number only "minimum": 0 is supported; say it in words, or take an integer`,
      );
    }
    return anyNumber(least === undefined);
  }

  #array(schema: Schema, where: string): Term {
    const prefix = list(schema.prefixItems ?? [], `${where}.prefixItems`).map((item, i) =>
      this.#value(item, `${where}.prefixItems.${i}`),
    );
    const least = count(schema, 'minItems', where) ?? 0;
    const most = count(schema, 'maxItems', where) ?? null;
    if (most !== null && least > most) throw new UserError(`${where}: minItems is more than maxItems`);
    // A tuple whose items are not spoken of is complete as it is.
    const item = schema.items === false || (prefix.length > 0 && schema.items === undefined) ? undefined : schema.items;
    const open = prefix.length === 0 || item !== undefined;
    const close: Term = { text: ']' };
    const start: Sequence = [{ text: '[' }, space];
    if (prefix.length > 0) {
      const items = prefix.flatMap((term, i) => (i ? [...separator, term] : [term]));
      if (!open) return this.#any([[...start, ...items, space, close]]);
      const more = Math.max(0, least - prefix.length);
      const repeat: Term = {
        repeat: [...separator, this.#value(item, `${where}.items`)],
        min: more,
        max: most === null ? null : Math.max(more, most - prefix.length),
      };
      return this.#any([[...start, ...items, repeat, space, close]]);
    }
    const alternatives: Sequence[] = least === 0 ? [[...start, close]] : [];
    if (item !== undefined || schema.items === undefined) {
      if (most === 0) return this.#any(alternatives);
      const one = this.#value(item, `${where}.items`);
      const rest: Term = {
        repeat: [...separator, one],
        min: Math.max(0, least - 1),
        max: most === null ? null : most - 1,
      };
      alternatives.push([...start, one, rest, space, close]);
    }
    if (alternatives.length === 0) throw new UserError(`${where}: minItems asks for items that items: false forbids`);
    return this.#any(alternatives);
  }

  #object(schema: Schema, where: string): Term {
    const properties = schema.properties ?? {};
    if (!isObject(properties)) throw new UserError(`${where}.properties: must be an object`);
    const required = new Set(list(schema.required ?? [], `${where}.required`));
    const unnamed = [...required].find(name => typeof name !== 'string' || !Object.hasOwn(properties, name));
    if (unnamed !== undefined)
      throw new UserError(`${where}.required: ${JSON.stringify(unnamed)} is not among its properties`);
    const names = Object.keys(properties);
    if (names.length > maxProperties) {
      throw new UserError(`${where}.properties: has ${names.length} entries; ${maxProperties} is the most`);
    }
    if (names.length === 0) return this.#record(schema.additionalProperties, where);

    // From the last property to the first: what may follow where nothing has been written yet, and where something has.
    let first: Sequence[] = [[]];
    let later: Sequence[] = [[]];
    for (const name of names.toReversed()) {
      const rest = this.#any(later);
      const member: Sequence = [
        { text: `${JSON.stringify(name)}:` },
        space,
        this.#value(properties[name], `${where}.properties.${name}`),
        rest,
      ];
      const skip = !required.has(name);
      first = skip ? [member, [this.#any(first)]] : [member];
      later = skip ? [[...separator, ...member], [rest]] : [[...separator, ...member]];
    }
    return this.#any([[{ text: '{' }, space, this.#any(first), space, { text: '}' }]]);
  }

  /** An object of any names. */
  #record(values: unknown, where: string): Term {
    if (values === false) return this.#any([[{ text: '{' }, space, { text: '}' }]]);
    const value = this.#value(values, `${where}.additionalProperties`);
    const member: Sequence = [{ rule: 'string' }, { text: ':' }, space, value];
    const members: Sequence = [...member, { repeat: [...separator, ...member], min: 0, max: null }];
    return this.#any([[{ text: '{' }, space, optional(members), space, { text: '}' }]]);
  }

  #enumeration(values: unknown, where: string): Term {
    const allowed = list(values, `${where}.enum`);
    if (allowed.length === 0) throw new UserError(`${where}.enum: is empty`);
    return this.#any(allowed.map(value => [literal(value)]));
  }

  #choice(choices: unknown, schema: Schema, where: string): Term {
    const key = schema.anyOf === undefined ? 'oneOf' : 'anyOf';
    const { [key]: _, ...rest } = schema;
    const alternatives = list(choices, `${where}.${key}`);
    if (alternatives.length === 0) throw new UserError(`${where}.${key}: is empty`);
    return this.#any(
      alternatives.map((choice, i) => [this.#value(merged(rest, [choice], where), `${where}.${key}.${i}`)]),
    );
  }

  #reference(reference: unknown, where: string): Term {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) {
      throw new UserError(`${where}.$ref: only places within the same schema are supported, such as "#/$defs/name"`);
    }
    let rule = this.#references.get(reference);
    if (!rule) {
      rule = this.#newName();
      this.#references.set(reference, rule);
      this.rules[rule] = [[this.#value(this.#target(reference, where), where)]];
    }
    return { rule };
  }

  #target(reference: string, where: string): unknown {
    let target: unknown = this.#root;
    for (const part of reference.split('/').slice(1)) {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      target =
        (isObject(target) || Array.isArray(target)) && Object.hasOwn(target, key) ? (target as Schema)[key] : null;
    }
    if (target === null) throw new UserError(`${where}.$ref: the schema has nothing at ${reference}`);
    return target;
  }

  #any(alternatives: Sequence[]): Term {
    if (alternatives.length === 1 && alternatives[0].length === 1) return alternatives[0][0];
    const rule = this.#newName();
    this.rules[rule] = alternatives;
    return { rule };
  }

  #newName(): string {
    return `rule-${this.#count++}`;
  }
}

const separator: Sequence = [{ text: ',' }, space];

/** A schema with further ones that hold as well; throws where they cannot be put together. */
function merged(schema: Schema, others: unknown, where: string): Schema {
  const result: Schema = { ...schema };
  for (const other of list(others, where)) {
    if (!isObject(other)) throw new UserError(`${where}: a JSON Schema is an object, not ${JSON.stringify(other)}`);
    for (const [key, value] of Object.entries(other)) {
      const present = result[key];
      if (present === undefined || annotations.includes(key)) result[key] = value;
      else if (key === 'properties' && isObject(present) && isObject(value)) result[key] = { ...present, ...value };
      else if (key === 'required') result[key] = [...list(present, where), ...list(value, where)];
      else if (stringifyJson(present) !== stringifyJson(value)) {
        throw new UserError(
          `${where}: two values of '${key}' hold at once, which is not supported; write them as one schema`,
        );
      }
    }
  }
  return result;
}

/** The type that keywords which belong to one type speak of. */
function impliedType(schema: Schema): string {
  const types = ['object', 'array', 'string', 'integer'];
  const type = types.find(type => keywords[type].some(keyword => schema[keyword] !== undefined));
  return type === 'integer' ? 'number' : (type ?? 'any');
}

function count(schema: Schema, keyword: string, where: string): number | undefined {
  const value = plainNumbers(schema[keyword]);
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 100_000) {
    throw new UserError(`${where}.${keyword}: must be a whole number from 0 to 100,000`);
  }
  return value as number;
}

function bound(schema: Schema, keyword: string, where: string): number | undefined {
  const value = plainNumbers(schema[keyword]);
  if (value === undefined || typeof value === 'number') return value;
  throw new UserError(`${where}.${keyword}: must be a number`);
}

function list(value: unknown, where: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new UserError(`${where}: must be a list`);
}
