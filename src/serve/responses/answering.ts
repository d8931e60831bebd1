import type { Agent } from '../../agent/agent.ts';
import { type Answer, answer } from '../../agent/answer.ts';
import { UserError } from '../../errors.ts';
import { stringifyJson } from '../../json.ts';
import { Random } from '../../random.ts';
import { closeTools, ToolLost, type ToolOrigin } from '../../tools/tool.ts';
import type { Answering } from '../answering.ts';
import { type ApiError, badRequest } from '../apiError.ts';
import { seedOf } from '../generation.ts';
import type { ServedModel } from '../servedModel.ts';
import { newId } from './items.ts';
import type { KeptResponses } from './kept.ts';
import { ResponseOutput } from './output.ts';
import type { ResponseWork } from './reading.ts';
import { type ResponseEnd, responseObject } from './response.ts';

export interface ResponsesOptions {
  /** Of what runs here; without it, a model alone answers. */
  agent?: Agent;
  origins: ReadonlyMap<string, ToolOrigin>;
  kept: KeptResponses;
  /** Most turns of one answer. */
  maxTurns: number;
}

/** `POST /v1/responses`: the agent's answer, with all the calls that it takes. */
export function answerResponse(model: ServedModel, work: ResponseWork, options: ResponsesOptions): Answering {
  const { request, prompt } = work;
  const { kept } = options;
  const id = newId('resp');
  const createdAt = Math.floor(Date.now() / 1000);
  let sent = 0;
  let tell = (_event: object) => {};
  const output = new ResponseOutput(
    name => (isOfClient(name, work, options) ? 'client' : options.origins.get(name)),
    event => tell(event),
  );
  const response = (end: ResponseEnd) =>
    responseObject({ id, createdAt, model: model.name, request, output: output.items }, end);

  const whole = async (signal: AbortSignal, onToken: () => void) => {
    const run = await runAgent(model, work, options, output, signal, onToken);
    output.end(run.end === 'tokens');
    const done = response({ answer: run, promptTokens: prompt.length });
    if (request.store !== false) {
      const messages = [...work.messages, ...run.messages.map(message => stringifyJson(message))];
      kept.keep(id, done, { messages, pending: output.pending });
    }
    return done;
  };
  return {
    sequences: 1,
    promptTokens: prompt.length,
    streamed: request.stream ?? false,
    whole,
    async stream(signal, onToken, send) {
      tell = event => send({ sequence_number: sent++, ...event });
      tell({ type: 'response.created', response: response('in_progress') });
      tell({ type: 'response.in_progress', response: response('in_progress') });
      const done = await whole(signal, onToken);
      tell({ type: `response.${done.status}`, response: done });
    },
    failure(error: ApiError) {
      output.end(true);
      return { sequence_number: sent++, type: 'response.failed', response: response(error) };
    },
  };
}

/** Whether a call is the client's to answer: all are where no agent is served. */
function isOfClient(name: string, { ofClient }: ResponseWork, { agent }: ResponsesOptions): boolean {
  return !agent || ofClient.includes(name);
}

/** @throws ApiError 400 where the model cannot take the request */
async function runAgent(
  model: ServedModel,
  work: ResponseWork,
  options: ResponsesOptions,
  output: ResponseOutput,
  signal: AbortSignal,
  onToken: () => void,
): Promise<Answer> {
  const { request, prompt, own, ofClient, thinking, grammars } = work;
  const seed = seedOf(request);
  const made = own.length > 0 ? await options.agent!.tools() : [];
  try {
    return await answer({
      sampler: model.sampler,
      chat: model.chats({ enableThinking: thinking }),
      prompt,
      tools: made.filter(({ name }) => own.includes(name)),
      isHandedOver: name => isOfClient(name, work, options),
      calls: own.length + ofClient.length > 0,
      sampling: turn => ({
        temperature: request.temperature ?? 1,
        topP: request.top_p ?? 1,
        topK: Math.max(0, request.top_k ?? 0),
        seed: turn === 0 ? seed : Random.of(seed, 'turn', turn).uint32(),
        grammar: turn === 0 ? grammars.first : grammars.later,
      }),
      maxTurns: options.maxTurns,
      maxTokens: model.contextTokens - prompt.length,
      maxSampledTokens: request.max_output_tokens ?? undefined,
      signal,
      tell: event => output.take(event),
      onToken,
    });
  } catch (error) {
    if (error instanceof UserError && !(error instanceof ToolLost)) throw badRequest(error.message);
    throw error;
  } finally {
    await closeTools(made);
  }
}
