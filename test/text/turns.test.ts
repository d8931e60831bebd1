import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SampledToken } from '../../src/engine/types.ts';
import { pythonJson } from '../../src/json.ts';
import { answerChat } from '../../src/serve/chatCompletions.ts';
import { ServedModel } from '../../src/serve/servedModel.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { MarkerStream } from '../../src/text/markerStream.ts';
import { CLOSE, OPEN, readTurn, type TurnContent, type TurnDelta, TurnText } from '../../src/text/turnText.ts';
import { readVocabulary } from '../../src/text/vocabulary.ts';
import { asciiCheckpoint, qwen3Dir } from './checkpoints.ts';
import { singleTurns, type WrittenTurn, writtenTurns } from './turns.ts';

const template = `{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`;

/** A checkpoint that has no tokens for the markers, and a tab among its characters. */
function withPlainMarkers(): string {
  const dir = asciiCheckpoint(['<|end|>', '<|user|>', '<|assistant|>', '<|tool|>'], template);
  const path = join(dir, 'tokenizer.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"~":', '"ĉ":'));
  return dir;
}

/** What a turn came to: the same for whoever has read it. */
interface Outcome {
  content: string;
  calls: [name: string, args: string][];
}

function told(deltas: readonly TurnDelta[]): Outcome {
  const outcome: Outcome = { content: '', calls: [] };
  for (const delta of deltas) {
    if (delta.kind === 'text') outcome.content += delta.text;
    else if (delta.kind === 'call') outcome.calls[delta.call] = [delta.name, ''];
    else if (delta.kind === 'arguments') outcome.calls[delta.call][1] += delta.text;
  }
  return outcome;
}

function expectTurn(turn: TurnContent, { content, calls, error }: WrittenTurn): void {
  expect(turn.content).toBe(content);
  expect(turn.calls.map(({ name }) => name)).toEqual(calls.map(([name]) => name));
  if (error) expect(turn.error).toMatch(error);
  else expect(turn.error).toBeUndefined();
}

describe.each([
  ['with tokens for the markers', qwen3Dir],
  ['with markers in plain text', withPlainMarkers()],
])('a turn %s', (_, dir) => {
  const chat = loadChat(dir);
  const vocabulary = readVocabulary(dir);
  const control = (marker: string) => vocabulary.controlId(marker);
  /** The turn's tokens, the text between its markers as few or as many as there can be. */
  const tokensOf = (text: string, encode: (text: string) => number[]) =>
    text
      .split(/(<\/?(?:tool_call|think)>)/)
      .flatMap(part => control(part) ?? (/^<\/?t\w+>$/.test(part) ? [...part].flatMap(spelled) : encode(part)));
  const spelled = (character: string) => chat.encode(character);
  const coarse = (text: string) => tokensOf(text, chat.encode);
  const fine = (text: string) => tokensOf(text, part => [...part].flatMap(spelled));

  it.each(writtenTurns)('is the same in training and on the server: $name', turn => {
    for (const tokens of [coarse(turn.text), fine(turn.text)]) {
      const parsed = chat.parse([...tokens, chat.stopTokens[0]]);
      expect(parsed.text).toBe(turn.text);
      expectTurn(parsed, turn);
      const reader = chat.reader();
      const deltas = [...tokens, chat.stopTokens[0]].flatMap(token => reader.push(token));
      expect(told([...deltas, ...reader.end()])).toEqual({ content: turn.content, calls: turn.calls });
    }
  });

  it('that breaks off anywhere is the same in both, and no call of it is broken', () => {
    for (const { text } of singleTurns.filter(({ text }) => text.length < 500)) {
      const tokens = coarse(text);
      const reader = chat.reader();
      const deltas: TurnDelta[] = [];
      for (let length = 0; length <= tokens.length; length++) {
        const parsed = chat.parse(tokens.slice(0, length));
        const broken = chat.reader();
        const { content, calls } = told([
          ...tokens.slice(0, length).flatMap(token => broken.push(token)),
          ...broken.end(),
        ]);
        expect({ content, error: broken.turn.error }).toEqual({ content: parsed.content, error: parsed.error });
        expect(calls).toEqual(parsed.calls.map(call => [call.name, pythonJson(call.arguments)]));
        for (const [, args] of calls) expect(() => JSON.parse(args)).not.toThrow();
        // What has been told is never taken back.
        expect(content.startsWith(told(deltas).content)).toBe(true);
        expect(calls.slice(0, told(deltas).calls.length)).toEqual(told(deltas).calls);
        if (length < tokens.length) deltas.push(...reader.push(tokens[length]));
      }
    }
  });

  it('is served as it is read, whole and streamed', async () => {
    let turn: number[] = [];
    const sampler = {
      async generate(_: unknown, __: unknown, ___: AbortSignal, onToken: (token: SampledToken) => void) {
        for (const token of turn) onToken({ token, logprob: -1 });
        return { tokens: turn, logprobs: [], stopReason: 'stop' };
      },
    } as unknown as ServedModel['sampler'];
    const model = new ServedModel({ name: 'm', root: 'm', sampler, chats: () => chat, vocabulary, contextTokens: 1e6 });
    const work = { request: { model: 'm', stop: [] }, prompt: chat.encode('x'), calls: true };
    const never = new AbortController().signal;
    for (const { text, content, calls } of writtenTurns) {
      turn = [...coarse(text), chat.stopTokens[0]];
      const answered = (await answerChat(model, work).whole(never, () => {})) as WholeAnswer;
      const [{ message, finish_reason }] = answered.choices;
      const served = (message.tool_calls ?? []).map(({ function: call }) => [call.name, call.arguments]);
      expect([message.content ?? '', served]).toEqual([content, calls]);
      expect(finish_reason).toBe(calls.length > 0 ? 'tool_calls' : 'stop');
      let streamed = '';
      const pieces: [string, string][] = [];
      const send = (chunk: object) => {
        const { delta } = (chunk as StreamedChunk).choices[0];
        streamed += delta.content ?? '';
        for (const { index, function: call } of delta.tool_calls ?? []) {
          pieces[index] ??= [call.name!, ''];
          pieces[index][1] += call.arguments;
        }
      };
      await answerChat(model, work).stream(never, () => {}, send);
      expect([streamed, pieces]).toEqual([content, calls]);
    }
  });
});

interface WholeAnswer {
  choices: {
    finish_reason: string;
    message: { content: string | null; tool_calls?: { function: { name: string; arguments: string } }[] };
  }[];
}

interface StreamedChunk {
  choices: {
    delta: { content?: string; tool_calls?: { index: number; function: { name?: string; arguments: string } }[] };
  }[];
}

describe('the text of a turn', () => {
  const markers = { open: OPEN, close: CLOSE };

  it('is read the same wherever it is cut', () => {
    for (const turn of writtenTurns.filter(({ text }) => text.length < 500)) {
      expectTurn(readTurn(turn.text), turn);
      for (let cut = 0; cut <= turn.text.length; cut++) {
        const text = new TurnText({ markers });
        const pieces = [turn.text.slice(0, cut), turn.text.slice(cut)];
        const outcome = told([...pieces.flatMap(piece => text.push(piece)), ...text.end()]);
        expect(outcome).toEqual({ content: turn.content, calls: turn.calls });
      }
    }
  });

  it('ends before a stop string, also where a block turns out to be text', () => {
    const read = (text: string) => {
      const turn = new TurnText({ markers, stopStrings: ['STOP', 'A\n<'] });
      const deltas = [...[...text].flatMap(character => turn.push(character)), ...turn.end()];
      return { ...told(deltas), stopped: turn.stopped };
    };
    const call = '<tool_call>{"name": "f", "arguments": {"x": "STOP"}}</tool_call>';
    expect(read(`B${call}`)).toEqual({ content: 'B', calls: [['f', '{"x": "STOP"}']], stopped: false });
    expect(read('B<tool_call> STOP <tool_call>')).toEqual({ content: 'B<tool_call> ', calls: [], stopped: true });
    expect(read(`BSTOP${call}`)).toEqual({ content: 'B', calls: [], stopped: true });
  });

  it('is text throughout where there are no tools', () => {
    const text = new TurnText({});
    const whole = `A\n${OPEN}{}${CLOSE}\n`;
    expect(told([...text.push(whole), ...text.end()])).toEqual({ content: whole, calls: [] });
  });
});

it('markers are found wherever the text is cut, the first one first', () => {
  const alphabet = fc.constantFrom('a', 'b', 'c');
  const word = (maxLength: number) => fc.array(alphabet, { minLength: 1, maxLength }).map(all => all.join(''));
  fc.assert(
    fc.property(word(12), fc.array(word(4), { maxLength: 3 }), (text, markers) => {
      const whole = new MarkerStream(markers);
      const cut = new MarkerStream(markers);
      const pieces = [...[...text].flatMap(character => cut.push(character)), ...cut.end()];
      expect(pieces.join('')).toBe(text);
      const first = (all: string[]) =>
        all
          .join('\0')
          .split('\0')
          .findIndex(piece => markers.includes(piece));
      const before = (all: string[]) => (first(all) < 0 ? text : all.slice(0, first(all)).join(''));
      expect(before(pieces)).toBe(before([...whole.push(text), ...whole.end()]));
    }),
  );
});
