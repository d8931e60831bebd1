import type { Message } from '../../text/message.ts';
import type { ToolOrigin } from '../../tools/tool.ts';
import { badRequest } from '../apiError.ts';
import { assistant } from '../dialogue.ts';
import type { InputItem, ItemContent } from './request.ts';

/** A dialogue, and the ids of the calls at its end that the client has still to answer. */
export interface Dialogue {
  messages: Message[];
  pending: string[];
}

interface Call {
  name: string;
  arguments: string;
}

/** A turn of the model while it is read. */
interface Turn {
  content: string[];
  reasoning?: string;
  /** Calls that were run here, each with what came of it. */
  runs: (Call & { observation: string })[];
  /** Calls that are the client's to answer. */
  calls: (Call & { call_id: string })[];
}

/** Items of the API become the messages of a dialogue, one after the other. */
export class DialogueReader {
  readonly #messages: Message[];
  readonly #codeTool: { name: string; argument: string } | undefined;
  #turn: Turn | undefined;
  /** What the client has answered, by the ids of the calls that it is to answer. */
  #answers: Map<string, string | undefined>;
  #missing: number;

  /** @param origins of the tools that run here, by their names */
  constructor(before: Dialogue, origins: ReadonlyMap<string, ToolOrigin>) {
    this.#messages = [...before.messages];
    this.#answers = new Map(before.pending.map(id => [id, undefined]));
    this.#missing = this.#answers.size;
    for (const [name, origin] of origins) {
      if (origin.kind === 'code') this.#codeTool = { name, argument: origin.argument };
    }
  }

  /** @throws ApiError 400 where the items are no dialogue, such as an output without its call */
  read(items: readonly InputItem[]): Message[] {
    for (const [index, item] of items.entries()) this.#take(item, `input.${index}`);
    this.#endTurn();
    this.#refuseUnanswered('input');
    return this.#messages;
  }

  #take(item: InputItem, param: string): void {
    if (item.type === 'function_call_output') this.#takeOutput(item.call_id, textOf(item.output), param);
    else if (item.type !== 'message' || item.role === 'assistant') this.#takeTurn(item, param);
    else {
      this.#endTurn();
      this.#refuseUnanswered(param);
      this.#messages.push({ role: item.role === 'user' ? 'user' : 'system', content: textOf(item.content) });
    }
  }

  /** What the model has said and done. */
  #takeTurn(item: Exclude<InputItem, { type: 'function_call_output' }>, param: string): void {
    if (item.type === 'reasoning') this.#endTurn();
    if (!this.#turn) this.#refuseUnanswered(param);
    this.#turn ??= { content: [], runs: [], calls: [] };
    switch (item.type) {
      case 'message':
        this.#turn.content.push(textOf(item.content));
        break;
      case 'reasoning':
        this.#turn.reasoning = textOf(item.content ?? '').trim();
        break;
      case 'function_call':
        this.#turn.calls.push(item);
        break;
      default:
        this.#turn.runs.push(this.#run(item, param));
        // Beside calls of the client it is one of several; else it was the turn's only one.
        if (this.#turn.calls.length === 0) this.#endTurn();
    }
  }

  #run(item: Extract<InputItem, { type: 'mcp_call' | 'code_interpreter_call' }>, param: string): Turn['runs'][number] {
    if (item.type === 'mcp_call') return { ...item, observation: item.error || item.output || '' };
    if (!this.#codeTool) throw badRequest(`${param}: this server has no tool that runs code`, param);
    const { name, argument } = this.#codeTool;
    const observation = (item.outputs ?? []).map(({ logs }) => logs).join('\n');
    return { name, arguments: JSON.stringify({ [argument]: item.code }), observation };
  }

  #takeOutput(id: string, output: string, param: string): void {
    this.#endTurn();
    if (!this.#answers.has(id)) {
      throw badRequest(`${param}: there is no function_call with the call_id ${JSON.stringify(id)} before it`, param);
    }
    if (this.#answers.get(id) === undefined) this.#missing--;
    this.#answers.set(id, output);
    if (this.#missing > 0) return;
    for (const content of this.#answers.values()) this.#messages.push({ role: 'tool', content: content! });
    this.#answers.clear();
  }

  #endTurn(): void {
    if (!this.#turn) return;
    const { content, reasoning, runs, calls } = this.#turn;
    this.#turn = undefined;
    const functions = [...runs, ...calls].map(call => ({ function: call }));
    this.#messages.push(assistant(content.join('\n'), functions, reasoning));
    this.#messages.push(...runs.map(({ observation }): Message => ({ role: 'tool', content: observation })));
    this.#answers = new Map(calls.map(({ call_id }) => [call_id, undefined]));
    this.#missing = this.#answers.size;
  }

  #refuseUnanswered(param: string): void {
    if (this.#missing === 0) return;
    const [id] = [...this.#answers].find(([, output]) => output === undefined)!;
    throw badRequest(`${param}: the call ${JSON.stringify(id)} has no function_call_output before it`, param);
  }
}

function textOf(content: ItemContent): string {
  if (typeof content === 'string') return content;
  return content.map(part => (part.type === 'refusal' ? part.refusal : part.text)).join('');
}
