/** What OpenEnv servers (https://github.com/huggingface/OpenEnv) say, by HTTP and over the WebSocket of a session. */
import { z } from 'zod';

const object = z.record(z.string(), z.unknown());

/** What came of a reset or a step. */
export const observedSchema = z.object({
  observation: object,
  reward: z.union([z.number(), z.boolean().transform(Number)]).nullish(),
  done: z.boolean().default(false),
});
export type Observed = z.output<typeof observedSchema>;

const rpcAnswer = z.union([z.object({ error: z.object({ message: z.string() }) }), z.object({ result: z.unknown() })]);
/** JSON-RPC's answer to a method of MCP; its result, or what is wrong. */
export type RpcAnswer = z.output<typeof rpcAnswer>;

const refusal = z.object({ code: z.string().default('UNKNOWN'), message: z.string().default('') });
export type Refusal = z.output<typeof refusal>;

/** A message of a session. */
export const messageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('observation'), data: observedSchema }),
  z.object({ type: z.literal('mcp'), data: rpcAnswer }),
  z.object({ type: z.literal('error'), data: refusal }),
]);
export type Message = z.output<typeof messageSchema>;

export const schemasSchema = z.object({ action: object });
export const metadataSchema = z.object({ name: z.string(), description: z.string().default('') });
export const namesSchema = z.array(z.string());
export const splitsSchema = z.array(z.object({ name: z.string(), type: z.string().optional() }));
export const countSchema = z.object({ num_tasks: z.int().nonnegative() });

/** Both as MCP and as OpenEnv itself spells them. */
const tool = z
  .object({
    name: z.string().min(1),
    description: z.string().nullish(),
    inputSchema: object.optional(),
    input_schema: object.optional(),
  })
  .transform(({ name, description, inputSchema, input_schema }) => ({
    name,
    description: description ?? '',
    parameters: inputSchema ?? input_schema ?? { type: 'object', properties: {} },
  }));
export type ServerTool = z.output<typeof tool>;
export const toolListSchema = z.object({ result: z.object({ tools: z.array(tool) }) });
