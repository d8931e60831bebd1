import { Environment, Interpreter, parse, Template, tokenize } from '@huggingface/jinja';

/** Longer than any chat template by far. */
const maxTemplateChars = 2 ** 20;

/**
 * Steps of one rendering: an evaluated expression or statement is one, and so is each item of a list that is made, and each
 * 1024 characters of text. Templates of today take about a hundred a message.
 */
const maxSteps = 2_000_000;

/** Most characters of a text that a template puts together. */
const maxChars = 2 ** 26;

/** Each iteration of a loop has a scope and a description of its own. */
const iterationCost = 20;

/** A text of the interpreter is an object with all of its methods. */
const pieceCost = 10;

/** A part of a template, and what it evaluates to: the package names no types that can be resolved. */
type Node = { type: string } & { [part: string]: unknown };
type Value = { value: unknown };

const Unbounded = Interpreter as unknown as new (
  environment: Environment,
) => { run(program: Node): Value; evaluate(node: Node | undefined, environment: Environment): Value };

/** A Jinja template whose rendering ends, whatever it says: with an error, where it takes too many steps or writes too much. */
export class BoundedTemplate {
  readonly #program: Node;

  /** @throws Error where it is no template. */
  constructor(text: string) {
    if (text.length > maxTemplateChars) throw new Error(`it has more than ${maxTemplateChars} characters`);
    this.#program = parse(tokenize(text, { lstrip_blocks: true, trim_blocks: true }));
  }

  /** @throws Error where the template raises one, or goes beyond its bounds. */
  render(variables: Record<string, unknown>): string {
    const steps = new Steps();
    const environment = new Environment();
    const all = { ...globals, range: boundedRange(steps), ...variables };
    for (const [name, value] of Object.entries(all)) environment.set(name, value);
    return String(new BoundedInterpreter(environment, steps).run(this.#program).value);
  }
}

class Steps {
  #left = maxSteps;

  take(count: number): void {
    this.#left -= count;
    if (!(this.#left >= 0)) throw new Error(`it takes more than ${maxSteps} steps`);
  }
}

class BoundedInterpreter extends Unbounded {
  readonly #steps: Steps;
  /** Told the values of expressions whose size decides what the statement around them costs. */
  readonly #awaited = new Map<unknown, (value: Value) => void>();

  constructor(environment: Environment, steps: Steps) {
    super(environment);
    this.#steps = steps;
  }

  override evaluate(node: Node | undefined, environment: Environment): Value {
    this.#steps.take(1);
    if (node) this.#await(node);
    const value = super.evaluate(node, environment);
    this.#steps.take(costOf(value, node));
    this.#awaited.get(node)?.(value);
    return value;
  }

  #await(node: Node): void {
    if (node.type === 'For') {
      const iterable = node.iterable as Node;
      this.#awaited.set(iterable.type === 'SelectExpression' ? iterable.lhs : iterable, list =>
        this.#steps.take(iterationCost * lengthOf(list)),
      );
    }
    if (isCallOf(node, 'split')) {
      const [separator, ...others] = node.args as Node[];
      let cutAt: unknown;
      if (others.length === 0) this.#awaited.set(separator, ({ value }) => (cutAt = value));
      this.#awaited.set((node.callee as Node).object, text => this.#steps.take(pieceCost * pieces(text.value, cutAt)));
    }
  }
}

function pieces(text: unknown, separator: unknown): number {
  if (typeof text !== 'string') return 0;
  return typeof separator === 'string' && separator !== '' ? text.split(separator).length : text.length;
}

function isCallOf(node: Node, method: string): boolean {
  const callee = node.callee as Node | undefined;
  return node.type === 'CallExpression' && (callee?.property as Node | undefined)?.value === method;
}

function costOf(value: Value, node: Node | undefined): number {
  const length = lengthOf(value);
  if (typeof value.value === 'string') {
    if (length > maxChars) throw new Error(`it writes more than ${maxChars} characters`);
    return length / 1024;
  }
  // What is only looked up is not made anew.
  return node?.type === 'Identifier' || node?.type === 'MemberExpression' ? length / 256 : length;
}

function lengthOf({ value }: Value): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  return value instanceof Map ? value.size : 0;
}

function boundedRange(steps: Steps) {
  return (...bounds: number[]): number[] => {
    const [start, stop, step = 1] = bounds.length === 1 ? [0, bounds[0]] : bounds;
    if (step === 0) throw new Error('range() step must not be zero');
    const length = Math.max(0, Math.ceil((stop - start) / step));
    steps.take(length);
    return Array.from({ length }, (_, i) => start + i * step);
  };
}

const globals = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception(message: string) {
    throw new Error(message);
  },
  strftime_now: (format: string) => strftimeNow(format),
};

/** The package's own, which it hands to templates alone. */
function strftimeNow(format: string): string {
  return new Template('{{ strftime_now(format) }}').render({ format });
}
