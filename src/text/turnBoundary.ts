import { UserError } from '../errors.ts';
import type { ChatTemplate } from './template.ts';
import type { SealedTokenizer } from './tokenizer.ts';

/** What a chat template puts between two assistant turns. */
export interface TurnBoundary {
  /** The control token that ends an assistant turn, as plain text. */
  endOfTurn: string;
  /** Sealed text from the end-of-turn token to the prompt for the next turn, with the tools' answers between. */
  observation(...contents: string[]): string;
}

const TURN = 'ASSISTANT-TURN';
// Whatever a template may do to a tool's answer (trim, quote, escape) shows on this one.
const PROBE = ' \n"TOOL\\ANSWER" é<b>\n ';
const TOOL = { name: 'tool', description: 'A tool.', parameters: { type: 'object', properties: {} } };

/** Reads the boundary off the template. Throws a UserError where its turns do not end with a control token. */
export function readTurnBoundary(template: ChatTemplate, tokenizer: SealedTokenizer): TurnBoundary {
  const afterTurn = (...contents: string[]) => {
    const rendered = template.render(
      [
        { role: 'user', content: 'Question' },
        { role: 'assistant', content: TURN },
        ...contents.map(content => ({ role: 'tool' as const, content })),
      ],
      [TOOL],
    );
    return rendered.slice(rendered.indexOf(TURN) + TURN.length);
  };

  const probed = afterTurn(PROBE);
  const endOfTurn = tokenizer.leadingControl(probed);
  if (endOfTurn === undefined) {
    throw new UserError(`${template.path}: the chat template does not end an assistant turn with a control token`);
  }
  const parts = probed.split(PROBE);
  if (parts.length !== 2) return { endOfTurn, observation: afterTurn };
  const [before, after] = parts;
  const observation = (...contents: string[]) =>
    contents.length > 1 ? afterTurn(...contents) : before + template.shield.defuse(contents[0]) + after;
  return { endOfTurn, observation };
}
