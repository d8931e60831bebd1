import type { AnswerEvent } from '../../agent/answer.ts';
import {
  type CallItem,
  callItem,
  newId,
  type OutputItem,
  type RunItem,
  settle,
  type TextItem,
  textItem,
  unreadCall,
} from './items.ts';

/** An item that is under way, and its place in the output. */
interface Open<Item extends OutputItem> {
  item: Item;
  index: number;
}

/**
 * The output of a response while it grows: what the agent does becomes items, and each change of an item an event of the API. The
 * items at the end are what has been told.
 */
export class ResponseOutput {
  readonly items: OutputItem[] = [];
  readonly #placeOf: (name: string) => Parameters<typeof callItem>[1];
  readonly #send: (event: object) => void;
  readonly #container = newId('cntr');
  #text: Open<TextItem> | undefined;
  /** Of the call that is told next. */
  #name = '';
  /** The calls of this turn that are run here, by their number. */
  readonly #runs = new Map<number, Open<RunItem>>();

  /** @param send told events without their number, each as it is at this moment */
  constructor(placeOf: (name: string) => Parameters<typeof callItem>[1], send: (event: object) => void) {
    this.#placeOf = placeOf;
    this.#send = send;
  }

  /** Ids of the calls that the client is to answer. */
  get pending(): string[] {
    return this.items.flatMap(item => (item.type === 'function_call' ? [item.call_id] : []));
  }

  take(event: AnswerEvent): void {
    switch (event.kind) {
      case 'text':
        this.#say('message', event.text);
        break;
      case 'thought':
        this.#say('reasoning', event.text);
        break;
      case 'call':
        this.#endText('completed');
        this.#name = event.name;
        break;
      case 'arguments':
        this.#call(
          event.call,
          callItem({ name: this.#name, arguments: event.text }, this.#placeOf(this.#name), this.#container),
        );
        break;
      case 'observation':
        this.#observe(event);
    }
  }

  /** @param isCut whether it ends in the middle of a turn */
  end(isCut: boolean): void {
    this.#endText(isCut ? 'incomplete' : 'completed');
    for (const run of this.#runs.values()) {
      run.item.status = 'incomplete';
      this.#done(run);
    }
  }

  #say(type: TextItem['type'], delta: string): void {
    if (this.#text?.item.type !== type) {
      this.#endText('completed');
      this.#text = this.#add(textItem(type), { content: [] });
      this.#tell('response.content_part.added', this.#text, { content_index: 0, part: this.#text.item.content[0] });
    }
    const [part] = this.#text.item.content;
    part.text += delta;
    this.#tell(`response.${part.type}.delta`, this.#text, { content_index: 0, delta, logprobs: part.logprobs });
  }

  #endText(status: 'completed' | 'incomplete'): void {
    if (!this.#text) return;
    const [open, [part]] = [this.#text, this.#text.item.content];
    this.#text = undefined;
    const { text, logprobs } = part;
    this.#tell(`response.${part.type}.done`, open, { content_index: 0, text, logprobs });
    this.#tell('response.content_part.done', open, { content_index: 0, part });
    open.item.status = status;
    this.#done(open);
  }

  #call(number: number, item: CallItem): void {
    const open = this.#add(item, item.type === 'code_interpreter_call' ? { code: '' } : { arguments: '' });
    if (item.type === 'code_interpreter_call') {
      this.#tell('response.code_interpreter_call.in_progress', open);
      this.#tell('response.code_interpreter_call_code.delta', open, { delta: item.code });
      this.#tell('response.code_interpreter_call_code.done', open, { code: item.code });
      this.#tell('response.code_interpreter_call.interpreting', open);
    } else {
      if (item.type === 'mcp_call') this.#tell('response.mcp_call.in_progress', open);
      this.#tell(`response.${item.type}_arguments.delta`, open, { delta: item.arguments });
      this.#tell(`response.${item.type}_arguments.done`, open, { name: item.name, arguments: item.arguments });
    }
    if (item.type === 'function_call') {
      item.status = 'completed';
      this.#done(open);
    } else this.#runs.set(number, { ...open, item });
  }

  #observe({ call = -1, name, ...result }: Extract<AnswerEvent, { kind: 'observation' }>): void {
    this.#endText('completed');
    const open = this.#runs.get(call) ?? this.#add(unreadCall(name));
    const { item } = open;
    this.#runs.delete(call);
    settle(item, result);
    if (item.type === 'mcp_call') this.#tell(`response.mcp_call.${item.status}`, open);
    else if (item.status === 'completed') this.#tell('response.code_interpreter_call.completed', open);
    this.#done(open);
  }

  /** @param told what is told otherwise at first */
  #add<Item extends OutputItem>(item: Item, told: object = {}): Open<Item> {
    const index = this.items.push(item) - 1;
    this.#send({ type: 'response.output_item.added', output_index: index, item: { ...item, ...told } });
    return { item, index };
  }

  #done({ item, index }: Open<OutputItem>): void {
    this.#send({ type: 'response.output_item.done', output_index: index, item });
  }

  #tell(type: string, { item, index }: Open<OutputItem>, more: object = {}): void {
    this.#send({ type, item_id: item.id, output_index: index, ...more });
  }
}
