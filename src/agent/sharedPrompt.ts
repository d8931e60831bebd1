import { stringifyJson } from '../json.ts';
import type { Chat } from '../text/chat.ts';

/** A chat for rollouts of which some begin alike, one after the other: what they begin with is written and encoded once. */
export function sharingPrompt(chat: Chat): Chat {
  let last: { asked: string; tokens: number[] } | undefined;
  return {
    ...chat,
    prompt(messages, tools) {
      const asked = stringifyJson([messages, tools]);
      if (last?.asked !== asked) last = { asked, tokens: chat.prompt(messages, tools) };
      return [...last.tokens];
    },
  };
}
