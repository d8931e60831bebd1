/**
 * Keeps the beginning and the end of a text that may be far longer than its limit, while it is being produced:
 * memory stays within a few times `maxChars`, whatever is pushed.
 */
export class MiddleCut {
  readonly #maxChars: number;
  #head = '';
  #tail = '';
  #length = 0;

  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  push(text: string): void {
    this.#length += text.length;
    const room = this.#maxChars - this.#head.length;
    this.#head += text.slice(0, room);
    this.#tail += text.slice(room);
    if (this.#tail.length > 2 * this.#maxChars) this.#tail = this.#tail.slice(-this.#maxChars);
  }

  /** The text, at most `maxChars` long; the note in its middle says how much is missing. */
  toString(): string {
    if (this.#length <= this.#maxChars) return this.#head;
    const keep = Math.max(0, this.#maxChars - note(this.#length).length);
    const head = whole(this.#head.slice(0, Math.ceil(keep / 2)));
    const tail = whole(lastChars(this.#head + this.#tail, Math.floor(keep / 2)));
    return head + note(this.#length - head.length - tail.length) + tail;
  }
}

/** `text`, cut in its middle to at most `maxChars` UTF-16 units. */
export function cutMiddle(text: string, maxChars: number): string {
  const cut = new MiddleCut(maxChars);
  cut.push(text);
  return cut.toString();
}

/** `text`, of which so many characters are kept, beside a mark: its both ends, or what is not at the cut one. */
export function cut(
  text: string,
  maxChars: number,
  { cut: place, cutMark }: { cut: 'middle' | 'start' | 'end'; cutMark?: string },
): string {
  if (text.length <= maxChars) return text;
  const head = { middle: Math.ceil(maxChars / 2), start: 0, end: maxChars }[place];
  const kept = [whole(text.slice(0, head)), whole(lastChars(text, maxChars - head))];
  return kept.join(cutMark ?? note(text.length - kept.join('').length));
}

const note = (chars: number) => `\n… [${chars} characters cut] …\n`;

const lastChars = (text: string, count: number) => (count === 0 ? '' : text.slice(-count));

/** Without the half of a surrogate pair that a cut has left at either end. */
const whole = (text: string) => text.replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, '');
