import { InvalidArgumentError } from 'commander';

/** Parsers of command-line values; what they throw, commander shows with the option's name. */

/** Where counts end that are used to make lists: above it nobody means what is written. */
const mostCounted = 1e9;

export const positiveInteger = wholeNumber(1, mostCounted);
export const nonNegativeInteger = wholeNumber(0, mostCounted);
export const seedNumber = wholeNumber(0, Number.MAX_SAFE_INTEGER);
export const byteCount = wholeNumber(1, Number.MAX_SAFE_INTEGER);
export const portNumber = wholeNumber(0, 65_535);

export const number = numberThat(() => true, 'a number');
export const nonNegativeNumber = numberThat(value => value >= 0, 'a number of at least 0');
export const positiveNumber = numberThat(value => value > 0, 'a number above 0');
export const fraction = numberThat(value => value >= 0 && value <= 1, 'a number from 0 to 1');

function wholeNumber(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function numberThat(fits: (value: number) => boolean, what: string) {
  return (text: string): number => {
    const value = Number(text);
    if (/^-?[\d.]+(e[+-]?\d+)?$/i.test(text) && Number.isFinite(value) && fits(value)) return value;
    throw new InvalidArgumentError(`It must be ${what}.`);
  };
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
