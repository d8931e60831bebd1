/** The agent's tools: ordinary functions over a directory, each with a zod schema for its arguments. */
import { defineTool, type Tool } from 'sod';
import { z } from 'zod';
import { type Directory, nicknames, type Person } from './directory.ts';

export function officeTools(directory: Directory): Tool<z.ZodObject>[] {
  /** What it throws is what the model reads in place of an answer: here, what to do better. */
  const find = (name: string): Person => {
    const person = directory.get(name);
    if (person) return person;
    const fullName = nicknames[name];
    throw new Error(fullName ? `no ${name} here, ask for ${fullName}` : `no ${name} here`);
  };
  const parameters = z.object({ name: z.string() });
  return [
    defineTool({
      name: 'manager',
      description: 'Whom somebody reports to',
      parameters,
      execute: ({ name }) => find(name).manager ?? 'nobody',
    }),
    defineTool({
      name: 'room',
      description: 'Where somebody sits',
      parameters,
      execute: ({ name }) => find(name).room,
    }),
  ];
}
