import { expect, test } from 'vitest';
import { z } from 'zod';
import { shownSchema } from '../../src/text/shownSchema.ts';
import { toolSchema } from '../../src/tools/schema.ts';

test('a schema is shown as one text, whichever library wrote it', () => {
  const parameters = z.object({ city: z.string(), days: z.int().optional(), title: z.string().nullable() });
  const trained = toolSchema({ name: 'weather', description: '', parameters, execute: () => '' }).parameters;
  const fromPydantic = {
    properties: {
      city: { title: 'City', type: 'string' },
      days: { default: null, title: 'Days', type: 'integer' },
      title: { anyOf: [{ type: 'string' }, { type: 'null' }], title: 'Title' },
    },
    required: ['city', 'title'],
    title: 'weather',
    type: 'object',
    additionalProperties: false,
  };
  expect(JSON.stringify(shownSchema(fromPydantic))).toBe(JSON.stringify(trained));
  expect(JSON.stringify(shownSchema(trained))).toBe(JSON.stringify(trained));
});
