import OpenAI from 'openai';
import { expect } from 'vitest';

/** Asks that a request is refused for one of its fields, and that it is said why. */
export async function expectRefused(failing: Promise<unknown>, param: string): Promise<void> {
  const error = await failing.then(
    () => undefined,
    error => error as InstanceType<typeof OpenAI.BadRequestError>,
  );
  expect(error).toBeInstanceOf(OpenAI.BadRequestError);
  expect(error!.param).toBe(param);
  expect(error!.message.length).toBeGreaterThan(20);
}
