import { UserError } from '../errors.ts';
import { isObject, plainNumbers, stringifyJson } from '../json.ts';
import { formatRules, formatsWithoutRules } from './formats.ts';
import type { Grammar, Sequence, Term } from './grammar.ts';
import { jsonRules, literal, optional, space, stringOf } from './json.ts';
import { type Bound, integerBetween, numberBetween } from './numbers.ts';

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
const annotations = [
  ...['$schema', '$id', '$defs', '$comment', 'definitions', 'title', 'description', 'default', 'examples'],
  ...['deprecated', 'readOnly', 'writeOnly', 'nullable', 'strict', 'contentEncoding', 'discriminator'],
];
const keywords: Record<string, readonly string[]> = {
  any: ['type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref'],
  object: ['properties', 'required', 'additionalProperties', 'propertyNames'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'format'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
};
const known = new Set([...annotations, ...Object.values(keywords).flat()]);

type Schema = Record<string, unknown>;

/** Alternatives are multiplied by what holds beside them: a small schema can mean a large grammar. */
const maxSize = 10_000;
const maxProperties = 500;

/**
 * Grammar rules for the values of JSON Schemas. What comes out always fits its schema, but not all that fits can come out:
 * properties come in the schema's order, without others beside named ones, and `oneOf` is read as `anyOf`.
 */
export class SchemaRules {
  readonly rules: Grammar['rules'] = { ...jsonRules, ...formatRules };
  readonly #references = new Map<string, string>();
  /** Rules that are referred to and not written yet. */
  readonly #open: { rule: string; target: unknown; where: string }[] = [];
  #root: unknown;
  #count = 0;
  #size = 0;

  /**
   * @param where names the schema in errors
   * @throws UserError that names the place where a keyword is not supported or has no sense.
   */
  add(schema: unknown, where: string): Term {
    this.#root = schema;
    this.#references.clear();
    const value = this.#value(schema, where);
    for (let open = this.#open.pop(); open; open = this.#open.pop()) {
      this.rules[open.rule] = [[this.#value(open.target, open.where)]];
    }
    return value;
  }

  #value(schema: unknown, where: string): Term {
    this.#grow(1, where);
    if (schema === true || schema === undefined) return { rule: 'value' };
    if (!isObject(schema)) throw new UserError(`${where}: a JSON Schema is an object, not ${JSON.stringify(schema)}`);
    for (const keyword of Object.keys(schema)) {
      if (!known.has(keyword)) throw new UserError(`${where}: the keyword '${keyword}' is not supported`);
    }
    if (schema.$ref !== undefined) return this.#reference(schema, where);
    if (schema.const !== undefined) return literal(schema.const);
    if (schema.enum !== undefined) return this.#enumeration(schema.enum, where);
    const { allOf, ...rest } = schema;
    if (allOf !== undefined) return this.#value(this.#merged(rest, allOf, where), where);
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
        return this.#string(schema, where);
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

  #string(schema: Schema, where: string): Term {
    const { format } = schema;
    const [least, most] = [count(schema, 'minLength', where), count(schema, 'maxLength', where)];
    if (format === undefined || formatsWithoutRules.includes(format as string)) {
      return stringOf(least ?? 0, most ?? null);
    }
    if (!Object.hasOwn(formatRules, `format-${format}`)) {
      throw new UserError(`${where}.format: ${JSON.stringify(format)} is not supported; say it in words`);
    }
    if (least !== undefined || most !== undefined) {
      throw new UserError(`${where}: a length beside the format ${JSON.stringify(format)} is not supported`);
    }
    return this.#any([[{ text: '"' }, { rule: `format-${format}` }, { text: '"' }]]);
  }

  #integer(schema: Schema, where: string): Term {
    const [low, high] = bounds(schema, where);
    const least = low ? (low.excluded ? Math.floor(low.value) + 1 : Math.ceil(low.value)) : -Infinity;
    const most = high ? (high.excluded ? Math.ceil(high.value) - 1 : Math.floor(high.value)) : Infinity;
    if (least > most) throw new UserError(`${where}: no whole number is within its bounds`);
    return this.#any(integerBetween(least, most));
  }

  #number(schema: Schema, where: string): Term {
    const [low, high] = bounds(schema, where);
    if (!low && !high) return { rule: 'number' };
    const isEmpty =
      low && high && (low.value > high.value || (low.value === high.value && (low.excluded || high.excluded)));
    if (isEmpty) throw new UserError(`${where}: no number is within its bounds`);
    return this.#any(numberBetween(low, high));
  }

  #array(schema: Schema, where: string): Term {
    const prefix = list(schema.prefixItems ?? [], `${where}.prefixItems`).map((item, i) =>
      this.#value(item, `${where}.prefixItems.${i}`),
    );
    const least = count(schema, 'minItems', where) ?? 0;
    const most = count(schema, 'maxItems', where) ?? null;
    if (most !== null && least > most) throw new UserError(`${where}: minItems is more than maxItems`);
    if (schema.uniqueItems === true && (most === null || most > 1)) {
      if (prefix.length > 0) throw new UserError(`${where}: uniqueItems beside prefixItems is not supported`);
      return this.#distinctItems(this.#finite(schema.items, where), least, most, where);
    }
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

  /** A list of some of these texts, each once at most, in their order. */
  #distinctItems(texts: readonly string[], least: number, most: number | null, where: string): Term {
    if (least > texts.length) {
      throw new UserError(`${where}: minItems is ${least}, but only ${texts.length} values are different`);
    }
    /** Beyond it all counts of items are alike. */
    const enough = most ?? Math.max(least, 1);
    this.#grow(texts.length * (enough + 1), where);
    /** What may follow the texts before the one at hand, by how many of them were taken. */
    let behind = Array.from({ length: enough + 1 }, (_, taken): Sequence[] => (taken >= least ? [[]] : []));
    for (const text of texts.toReversed()) {
      const later = behind.map(alternatives => (alternatives.length > 0 ? this.#any(alternatives) : undefined));
      behind = later.map((skipped, taken) => {
        const next = later[Math.min(taken + 1, enough)];
        const mayTake = next && (taken < enough || most === null);
        const item: Sequence = [...(taken > 0 ? separator : []), { text }];
        return [...(mayTake ? [[...item, next]] : []), ...(skipped ? [[skipped]] : [])];
      });
    }
    return this.#any([[{ text: '[' }, space, this.#any(behind[0]), space, { text: ']' }]]);
  }

  /** All values of a schema that names them, as JSON. */
  #finite(schema: unknown, where: string): string[] {
    const target = isObject(schema) && schema.$ref !== undefined ? this.#target(schema.$ref, where) : schema;
    const values = isObject(target)
      ? (target.enum ??
        (target.const === undefined ? undefined : [target.const]) ??
        (target.type === 'boolean' ? [true, false] : undefined))
      : undefined;
    if (values === undefined) {
      throw new UserError(`${where}.uniqueItems: is supported only for items that are an enum, a const or a boolean`);
    }
    return [...new Set(list(values, `${where}.items.enum`).map(value => stringifyJson(value)))];
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
    if (names.length === 0) return this.#record(schema, where);
    if (schema.propertyNames !== undefined) {
      throw new UserError(`${where}: propertyNames beside properties is not supported`);
    }

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

  /** An object of names that the schema does not list. */
  #record({ additionalProperties: values, propertyNames: names }: Schema, where: string): Term {
    if (values === false) return this.#any([[{ text: '{' }, space, { text: '}' }]]);
    const member: Sequence = [
      this.#name(names, `${where}.propertyNames`),
      ...[{ text: ':' }, space, this.#value(values, `${where}.additionalProperties`)],
    ];
    const members: Sequence = [...member, { repeat: [...separator, ...member], min: 0, max: null }];
    return this.#any([[{ text: '{' }, space, optional(members), space, { text: '}' }]]);
  }

  #name(schema: unknown, where: string): Term {
    if (schema === undefined || schema === true) return { rule: 'string' };
    const isOfStrings =
      isObject(schema) &&
      (schema.type ?? 'string') === 'string' &&
      list(schema.enum ?? [], `${where}.enum`).every(name => typeof name === 'string');
    const beyond = isObject(schema) ? Object.keys(schema).find(key => !nameKeywords.includes(key)) : undefined;
    if (!isOfStrings || beyond) throw new UserError(`${where}: must be an enum or the lengths of strings`);
    return this.#value({ type: 'string', ...schema }, where);
  }

  #enumeration(values: unknown, where: string): Term {
    const allowed = list(values, `${where}.enum`);
    if (allowed.length === 0) throw new UserError(`${where}.enum: is empty`);
    return this.#any(this.#texts([...new Set(allowed.map(value => stringifyJson(value)))].sort()));
  }

  /** What follows `at` in one of these texts, which are sorted: what several go on with stands once, so that it is followed once. */
  #texts(sorted: readonly string[], at = 0, start = 0, end = sorted.length): Sequence[] {
    const alternatives: Sequence[] = [];
    for (let from = start; from < end; ) {
      const first = sorted[from];
      const character = String.fromCodePoint(first.codePointAt(at) ?? 0);
      let to = from + 1;
      while (to < end && sorted[to].startsWith(character, at)) to++;
      const behind = to - from === 1 ? first.length : commonEnd(first, sorted[to - 1], at);
      const common: Term = { text: first.slice(at, behind) };
      alternatives.push(to - from === 1 ? [common] : [common, this.#any(this.#texts(sorted, behind, from, to))]);
      from = to;
    }
    return alternatives;
  }

  #choice(choices: unknown, schema: Schema, where: string): Term {
    const key = schema.anyOf === undefined ? 'oneOf' : 'anyOf';
    const { [key]: _, ...rest } = schema;
    const alternatives = list(choices, `${where}.${key}`);
    if (alternatives.length === 0) throw new UserError(`${where}.${key}: is empty`);
    return this.#any(
      alternatives.map((choice, i) => [this.#value(this.#merged(rest, [choice], where), `${where}.${key}.${i}`)]),
    );
  }

  #reference(schema: Schema, where: string): Term {
    const beside = Object.keys(schema).find(key => key !== '$ref' && !annotations.includes(key));
    if (beside) throw new UserError(`${where}: the keyword '${beside}' beside $ref is not supported`);
    const reference = schema.$ref as string;
    let rule = this.#references.get(reference);
    if (!rule) {
      const target = this.#target(reference, where);
      rule = this.#newName();
      this.#references.set(reference, rule);
      this.#open.push({ rule, target, where });
    }
    return { rule };
  }

  #target(reference: unknown, where: string): unknown {
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) {
      throw new UserError(`${where}.$ref: only places within the same schema are supported, such as "#/$defs/name"`);
    }
    let target: unknown = this.#root;
    for (const part of reference.split('/').slice(1)) {
      const key = decoded(part)?.replaceAll('~1', '/').replaceAll('~0', '~');
      const has = key !== undefined && (isObject(target) || Array.isArray(target)) && Object.hasOwn(target, key);
      if (!has) throw new UserError(`${where}.$ref: the schema has nothing at ${reference}`);
      target = (target as Schema)[key];
    }
    return target;
  }

  /** A schema with further ones that hold as well; throws where they cannot be put together. */
  #merged(schema: Schema, others: unknown, where: string): Schema {
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
    const { properties, required } = result;
    const copied = isObject(properties) ? Object.keys(properties).length : 0;
    this.#grow(Object.keys(result).length + copied + (Array.isArray(required) ? required.length : 0), where);
    return result;
  }

  #grow(by: number, where: string): void {
    this.#size += by;
    if (this.#size > maxSize) throw new UserError(`${where}: the schema is too large, write it with fewer choices`);
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

/** What is understood of the names of an object's members. */
const nameKeywords = [...annotations, 'type', 'enum', 'minLength', 'maxLength'];

const separator: Sequence = [{ text: ',' }, space];

/** Where two texts that are equal up to `at` become different, between whole characters. */
function commonEnd(a: string, b: string, at: number): number {
  let end = at;
  while (end < a.length && a.codePointAt(end) === b.codePointAt(end)) end += a.codePointAt(end)! > 0xffff ? 2 : 1;
  return end;
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
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

/** The stricter of what `minimum` and `exclusiveMinimum` say, and of what `maximum` and `exclusiveMaximum` do. */
function bounds(schema: Schema, where: string): [low: Bound | undefined, high: Bound | undefined] {
  const [minimum, maximum, above, below] = keywords.integer.map(keyword => {
    const value = plainNumbers(schema[keyword]);
    if (value === undefined || typeof value === 'number') return value;
    throw new UserError(`${where}.${keyword}: must be a number`);
  });
  const stricter = (included: number | undefined, excluded: number | undefined, sign: 1 | -1): Bound | undefined => {
    if (excluded === undefined) return included === undefined ? undefined : { value: included, excluded: false };
    const isStricter = included === undefined || sign * excluded >= sign * included;
    return isStricter ? { value: excluded, excluded: true } : { value: included, excluded: false };
  };
  return [stricter(minimum, above, 1), stricter(maximum, below, -1)];
}

function list(value: unknown, where: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new UserError(`${where}: must be a list`);
}
