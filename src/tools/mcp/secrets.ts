import { UserError } from '../../errors.ts';

/** Shorter ones may be words of any text. */
const shortestSecret = 6;

/** Values from the environment, that go to a server and nowhere else. */
export class Secrets {
  readonly #server: string;
  readonly #names = new Map<string, string>();

  constructor(server: string) {
    this.#server = server;
  }

  /** What `${NAME}` stands for, in each text. @throws UserError where the environment has no such variable. */
  filledIn(texts: Record<string, string> = {}): Record<string, string> {
    const filled = (text: string) => text.replace(/\$\{(\w+)\}/g, (_, name: string) => this.#value(name));
    return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, filled(text)]));
  }

  /** The text without the values, should a server tell them. */
  hidden(text: string): string {
    let told = text;
    for (const [value, name] of this.#names) told = told.replaceAll(value, `\${${name}}`);
    return told;
  }

  #value(name: string): string {
    const value = process.env[name];
    if (!value) {
      throw new UserError(
        `MCP server ${this.#server}: it needs \${${name}}, and the environment has no ${name}: set it`,
      );
    }
    if (value.length >= shortestSecret) this.#names.set(value, name);
    return value;
  }
}
