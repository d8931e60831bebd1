/** Text that comes from models, tools and tasks, as it is: nothing of it can act on the page, nor hide in it. */
import { Fragment, type JSX } from 'preact';
import { useState } from 'preact/hooks';

/** What has no sign of its own: control, format and bidirectional characters, variants of nothing, empty letters; not line ends, tabs and what joins letters. */
const unseen =
  /(?:(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2028\u2029\u115f\u1160\u3164\uffa0]|[\u{e0100}-\u{e01ef}])+/gu;

/** So many marks have a style of their own; more of them are signs among the text. */
const MOST_MARKS = 1_000;

/** A text with signs for what would not be seen. */
export function Shown({ text }: { text: string }): JSX.Element {
  const parts: (string | JSX.Element)[] = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(unseen)) {
    if (parts.length > 2 * MOST_MARKS) break;
    parts.push(text.slice(end, index), <span class="unseen">{signs(found)}</span>);
    end = index + found.length;
  }
  parts.push(shownText(text.slice(end)));
  return <Fragment>{parts}</Fragment>;
}

/** The same without style, for names and titles. */
export function shownText(text: string): string {
  return text.replace(unseen, signs);
}

function signs(text: string): string {
  return [...text].map(signOf).join('');
}

function signOf(character: string): string {
  const code = character.codePointAt(0)!;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
}

/** So many characters are shown of a text that is longer; and a browser lays out so many at once, where they are in sight. */
const SHOWN_CHARACTERS = 4_000;

/** A text of any length, of which the rest is shown when it is asked for. */
export function LongText({ text, className = '' }: { text: string; className?: string }): JSX.Element {
  const [isWhole, setWhole] = useState(text.length <= 1.25 * SHOWN_CHARACTERS);
  return (
    <pre class={className} dir="auto">
      {isWhole ? (
        partsOf(text).map((part, i) => (
          <span key={i} class="part">
            <Shown text={part.replace(/\n$/, '')} />
          </span>
        ))
      ) : (
        <Shown text={beginningOf(text)} />
      )}
      {!isWhole && <ShowAll what={`${count(text.length)} characters`} show={() => setWhole(true)} />}
    </pre>
  );
}

/** Parts of a text that are blocks of their own: they end with a line where they can. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  for (let rest = text; rest; rest = rest.slice(parts.at(-1)!.length)) {
    const most = beginningOf(rest);
    parts.push(most.length === rest.length ? most : most.slice(0, most.lastIndexOf('\n') + 1) || most);
  }
  return parts;
}

/** No character of two halves is cut. */
function beginningOf(text: string): string {
  const isCut = text.length > SHOWN_CHARACTERS && /[\ud800-\udbff]/.test(text[SHOWN_CHARACTERS - 1]);
  return text.slice(0, SHOWN_CHARACTERS - (isCut ? 1 : 0));
}

export function ShowAll({ what, show }: { what: string; show: () => void }): JSX.Element {
  return (
    <button type="button" class="quiet show-all" onClick={show}>
      … show all {what}
    </button>
  );
}

/** A whole number with its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString('en');
}
