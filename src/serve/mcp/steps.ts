import { z } from 'zod';
import type { AnswerEvent } from '../../agent/answer.ts';

export const stepSchema = z.object({
  said: z.string().describe('What was said before the call'),
  tool: z.string(),
  arguments: z.string().describe('As JSON'),
  observation: z.string().optional().describe('What the tool gave; absent where it was not run any more'),
  error: z.string().optional().describe('Why the observation is an error'),
});

export type Step = z.output<typeof stepSchema>;

/** An agent's calls, put together from what happens while it answers. */
export class Steps {
  readonly all: Step[] = [];
  /** Where the calls of this turn begin. */
  #turn = 0;
  #said = '';

  /** What was said behind the last call: in the end, the answer. */
  get said(): string {
    return this.#said;
  }

  take(event: AnswerEvent): void {
    switch (event.kind) {
      case 'text':
        this.#said += event.text;
        break;
      case 'call':
        if (event.call === 0) this.#turn = this.all.length;
        this.all.push({ said: this.#said, tool: event.name, arguments: '' });
        this.#said = '';
        break;
      case 'arguments':
        this.all[this.#turn + event.call].arguments = event.text;
        break;
      case 'observation':
        this.#observe(event);
    }
  }

  #observe({ call, name, observation, error }: Extract<AnswerEvent, { kind: 'observation' }>): void {
    if (call !== undefined) Object.assign(this.all[this.#turn + call], { observation, error });
    else {
      // What could not be read as a call was said.
      this.all.push({ said: this.#said, tool: name, arguments: '', observation, error });
      this.#said = '';
    }
  }
}
