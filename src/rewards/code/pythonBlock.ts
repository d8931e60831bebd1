/** The fence that opens a Python block, at the beginning of a line or behind the mark of a list item. */
const OPENING = /^([ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)(`{3,}|~{3,})[ \t]*(?:python|py)3?[ \t]*$/i;
const CLOSING = /^([ \t]*)(`{3,}|~{3,})[ \t]*$/;

interface Block {
  fence: string;
  /** Characters before the fence. */
  indent: number;
  lines: string[];
}

/**
 * The last Python block of an answer; undefined where there is none. A block that is not closed is none: it was cut. It is
 * closed, as in Markdown, by a fence at least as long as its own, and not indented further: that is text of a docstring.
 */
export function lastPythonBlock(answer: string): string | undefined {
  let open: Block | undefined;
  let last: Block | undefined;
  for (const line of answer.split(/\r?\n/)) {
    const [, before, fence] = OPENING.exec(line) ?? [];
    if (fence && !(open && before.length > open.indent)) {
      open = { fence, indent: before.length, lines: [] };
    } else if (open && closes(line, open)) {
      last = open;
      open = undefined;
    } else {
      open?.lines.push(line);
    }
  }
  return last && dedented(last);
}

function closes(line: string, { fence, indent }: Block): boolean {
  const [, before = '', end = ''] = CLOSING.exec(line) ?? [];
  return end.startsWith(fence) && before.length <= indent;
}

/** The block's text without the space that the fence has before it, nor what all lines still have. */
function dedented({ indent, lines }: Block): string {
  const own = lines.map(line => withoutSpace(line, indent));
  const common = Math.min(...own.filter(line => line.trim() !== '').map(spaceBefore));
  return own.map(line => `${withoutSpace(line, common)}\n`).join('');
}

function withoutSpace(line: string, atMost: number): string {
  return line.slice(Math.min(atMost, spaceBefore(line)));
}

function spaceBefore(line: string): number {
  return line.length - line.trimStart().length;
}
