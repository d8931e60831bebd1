/** What an answer says, apart from how it is put on the page. */

/** An expression is LaTeX without any structure around it; words are no mathematics. */
export type Answer =
  | { kind: 'expression'; latex: string }
  | { kind: 'words'; text: string }
  /** In any order: sets, lists of solutions, unions. */
  | { kind: 'set'; items: Answer[] }
  /** In order, with their brackets: tuples, intervals, the rows of a matrix. */
  | { kind: 'sequence'; brackets: string; items: Answer[] };

/** Reads an answer as it stands in a box. */
export function readAnswer(text: string): Answer {
  return read(plain(text));
}

/** Without what is typography: dollars, sizes, spaces, fonts, variants of one command. */
function plain(text: string): string {
  return text
    .replace(/\\(?:left|right|[bB]igg?[lrm]?|displaystyle|limits)(?![a-zA-Z])\.?/g, '')
    .replace(/(?<!\\)\\[,;:!> ]|~|\\q?quad(?![a-zA-Z])/g, ' ')
    .replace(/\\[dtc]frac(?![a-zA-Z])/g, '\\frac')
    .replace(/\\frac\s*(\d)\s*(\d)/g, '\\frac{$1}{$2}')
    .replace(/\\sqrt\s*(\d)/g, '\\sqrt{$1}')
    .replace(/\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|rm|bf)(?=\s*\{)/g, '\\text')
    .replace(/\\\$|\$|\\\(|\\\)/g, '')
    .replace(/\\?%|\\%/g, '')
    .replace(/\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-zA-Z])|°/g, '')
    .replace(/\{,\}/g, '')
    .replace(/\\lbrace(?![a-zA-Z])/g, '\\{')
    .replace(/\\rbrace(?![a-zA-Z])/g, '\\}')
    .replace(/\\(?:leq?|geq?|neq?)(?![a-zA-Z])/g, command => command.replace(/q$/, ''))
    .replace(/−/g, '-')
    .replace(/\s+/g, ' ')
    .replace(/\.\s*$/, '')
    .trim();
}

function read(text: string): Answer {
  const value = withoutUnit(withoutName(text.trim()));
  const matrix = /^\\begin\{([a-zB]*matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{\1\}$/.exec(value);
  if (matrix)
    return sequence(
      'matrix',
      matrix[2].split('\\\\').map(row => sequence('row', row.split('&').map(read))),
    );

  const union = topLevel(value, '\\cup');
  if (union.length > 1) return { kind: 'set', items: union.map(read) };

  if (/^\d{1,3}(,\d{3})+(\.\d+)?$/.test(value)) return expression(value.replaceAll(',', ''));
  const list = topLevel(value.replace(/\\text\{\s*(?:and|or)\s*\}|\s(?:and|or)\s/g, ','), ',').filter(item =>
    item.trim(),
  );
  if (list.length > 1) return { kind: 'set', items: list.map(read) };

  const [, opening, inner, closing] = /^(\(|\[|\\\{)(.*)(\)|\]|\\\})$/s.exec(value) ?? [];
  if (opening && isOnePiece(value)) {
    const items = topLevel(inner, ',');
    if (opening === '\\{') return { kind: 'set', items: inner.trim() === '' ? [] : items.map(read) };
    if (items.length > 1) return sequence(opening + closing, items.map(read));
    if (opening === '(') return read(inner);
  }

  if (value.includes('\\pm')) {
    const signs = ['+', '-'].map(sign => read(value.replace('\\pm', sign).replace('\\mp', sign === '+' ? '-' : '+')));
    return { kind: 'set', items: signs };
  }
  const words = /^(?:\\text\{([^{}]*)\}|([a-zA-Z][a-zA-Z ]+))$/.exec(value);
  if (words) return { kind: 'words', text: (words[1] ?? words[2]).trim().replace(/^\((\w)\)$/, '$1') };
  return expression(value);
}

const sequence = (brackets: string, items: Answer[]): Answer => ({ kind: 'sequence', brackets, items });

function expression(latex: string): Answer {
  return /^[a-zA-Z]$/.test(latex) ? { kind: 'words', text: latex } : { kind: 'expression', latex };
}

/** `x = 5` is 5, `x \in A` is A. */
function withoutName(text: string): string {
  return text.replace(/^[a-zA-Z](?:_\{?\w+\}?)?(?:\([a-zA-Z]\))?\s*(?:=|\\in(?![a-zA-Z]))\s*(?=\S)/, '');
}

/** What follows a number in words, or in an upright font, is its unit. */
function withoutUnit(text: string): string {
  return text
    .replace(/(?<=[\d}])\s*\\text\{[^{}]*\}(?:\s*\^\s*\{?-?\d\}?)?$/, '')
    .replace(/^(-?[\d.,/]*\d)\s+[a-zA-Z]{2,}[a-zA-Z/ ]*(?:\^\{?-?\d\}?)?$/, '$1')
    .trim();
}

/** The parts between separators that stand in no bracket. */
function topLevel(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if ('([{'.includes(text[i])) depth++;
    else if (')]}'.includes(text[i])) depth--;
    else if (depth === 0 && text.startsWith(separator, i)) {
      parts.push(text.slice(start, i));
      start = i + separator.length;
    }
  }
  return [...parts, text.slice(start)];
}

/** Whether the first bracket is closed by the last one. */
function isOnePiece(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if ('([{'.includes(text[i])) depth++;
    else if (')]}'.includes(text[i]) && --depth === 0) return i === text.length - 1;
  }
  return false;
}
