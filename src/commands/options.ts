import { InvalidArgumentError } from 'commander';

/** Parsers of command-line values; what they throw, commander shows with the option's name. */

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}

export function nonNegativeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('It must be a whole number of at least 0.');
  return value;
}

export function nonNegativeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0)) throw new InvalidArgumentError('It must be a number of at least 0.');
  return value;
}

export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

/** Collects the values of an option that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

/** A repository of the Hub, perhaps with the `hf:` that it has elsewhere. */
export function repositoryName(text: string): string {
  const name = text.replace(/^hf:/, '');
  if (!/^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new InvalidArgumentError('It must be a name on the Hub, such as my-name/my-model.');
  }
  return name;
}

export function license(text: string): string {
  if (!/^[a-z0-9][a-z0-9.+-]*$/.test(text)) {
    throw new InvalidArgumentError(
      "It must be the Hub's name of a licence, in small letters, such as apache-2.0 or mit.",
    );
  }
  return text;
}
