import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { MathComparer } from '../../../src/rewards/equivalence/comparer.ts';

const comparer = new MathComparer();
afterAll(() => comparer.close());

async function compare(a: string, b: string): Promise<boolean> {
  const [forth, back] = await Promise.all([comparer.equal(a, b), comparer.equal(b, a)]);
  expect(forth).toBe(back);
  return forth;
}

const pairs = readFileSync(new URL('pairs.tsv', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1);

test.each(pairs.map(line => line.split('\t')))('%s: %s and %s are %s', async (_, answer, truth, verdict) => {
  expect(await compare(answer, truth)).toBe(verdict === 'equal');
});

test.each([
  ['\\frac{1}{2}', '0.5'],
  ['\\dfrac12', '1/2'],
  ['.5', '\\tfrac{2}{4}'],
  ['-\\frac{1}{2}', '\\frac{-1}{2}'],
  ['3\\frac{1}{2}', '3.5'],
  ['\\sqrt{8}', '2\\sqrt2'],
  ['\\frac{\\sqrt3}{3}', '\\frac{1}{\\sqrt{3}}'],
  ['\\sqrt[3]{27}', '3'],
  ['2^{10}', '1024'],
  ['1{,}024', '1024'],
  ['1,234,567', '1234567'],
  ['1,234.5', '1234.5'],
  ['042', '42'],
  ['1.50', '1.5'],
  ['3\\times10^8', '300000000'],
  ['2\\cdot 3', '6'],
  ['\\pi/2', '\\frac{\\pi}{2}'],
  ['\\log_2 8', '3'],
  ['e^{i\\pi}', '-1'],
  ['5!', '120'],
  ['2+3i', '3i+2'],
  ['5\\text{ cm}', '5'],
  ['5 \\mathrm{m}^2', '5'],
  ['12 dollars', '12'],
  ['\\$12', '12'],
  ['90^\\circ', '90'],
  ['90^{\\circ}', '90'],
  ['50\\%', '50'],
  ['x=5', '5'],
  ['x = \\frac{1}{2}', '0.5'],
  ['f(x)=x^2', 'x^2'],
  ['$7$', '7'],
  ['7.', '7'],
  ['\\text{A}', 'A'],
  ['(A)', 'A'],
  ['\\textbf{(B)}', 'B'],
  ['\\text{yes}', 'Yes'],
  ['\\text{blue whale}', 'Blue whale'],
  ['\\left(1,2\\right)', '(1, 2)'],
  ['(\\frac12, 3)', '(0.5,3.0)'],
  ['\\{1,2\\}', '\\{2, 1\\}'],
  ['\\left\\{ 1, 2 \\right\\}', '1,2'],
  ['1 \\text{ and } 2', '2, 1'],
  ['\\pm 3', '-3, 3'],
  ['1 \\pm \\sqrt{2}', '\\{1-\\sqrt2, 1+\\sqrt2\\}'],
  ['[0,1)', '\\left[0, 1\\right)'],
  ['(-\\infty,0)\\cup(1,\\infty)', '(1,\\infty) \\cup (-\\infty,0)'],
  ['(-\\infty, 2.5]', '(-\\infty,\\frac{5}{2}]'],
  ['x \\in [0,1]', '[0,1]'],
  ['x^2+2x+1', '(x+1)^2'],
  ['\\frac{x^2-1}{x-1}', 'x+1'],
  ['a+b', 'b+a'],
  ['y = 2x+1', '1+2x'],
  ['\\sin^2 x+\\cos^2 x', '\\cos^2x+\\sin^2x'],
  ['\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}', '\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}'],
  ['100000000000000000000000', '10^{23}'],
])('%s is %s', async (a, b) => {
  expect(await compare(a, b)).toBe(true);
});

test.each([
  ['0.333', '\\frac13'],
  ['3.14', '\\pi'],
  ['\\frac{1}{2}', '\\frac{1}{3}'],
  ['100000000000000000000001', '100000000000000000000000'],
  ['-1', '1'],
  ['(1,2)', '(2,1)'],
  ['(1,2)', '(1,2,3)'],
  ['[0,1)', '(0,1)'],
  ['[0,1]', '\\{0,1\\}'],
  ['\\{1,2\\}', '\\{1,2,3\\}'],
  ['\\{1,1,2\\}', '\\{1,2,2\\}'],
  ['\\pm 3', '3'],
  ['A', 'B'],
  ['a', 'A'],
  ['\\text{yes}', '\\text{no}'],
  ['x', 'y'],
  ['x+1', 'x+2'],
  ['x+1', 'y+1'],
  ['x^2', '2x'],
  ['5x', '5'],
  ['12', '12x'],
  ['1', '1,000'],
  ['', '0'],
  [' ', '0'],
  ['\\frac{1}{0}', '1'],
  ['\\frac{1}{0}', '\\frac{2}{0}'],
  ['\\text{NaN}', '0'],
  ['\\begin{pmatrix}1&2\\end{pmatrix}', '\\begin{pmatrix}1\\\\2\\end{pmatrix}'],
])('%s is not %s', async (a, b) => {
  expect(await compare(a, b)).toBe(false);
});

test.each([
  ['1^\\circ', "60'", 'a prime alone is a derivative, or feet'],
  ['1010_{\\text{two}}', '1010_2', 'bases are read as numbers only'],
  ['\\text{The answer is } 5', '5', 'sentences are not read'],
  ['2\\operatorname{cis}\\frac{\\pi}{3}', '1+\\sqrt{3}i', 'a function that is not known'],
  ['\\text{all real numbers}', '\\mathbb{R}', 'sentences are not read'],
  ['xy=1', 'y=\\frac{1}{x}', 'equations are compared up to a number, not up to an unknown'],
  ['11_2', '3', 'a number without a base is in that of the question'],
])('%s and %s are equal, but not found to be: %s', async (a, b) => {
  expect(await compare(a, b)).toBe(false);
});

test('a fraction is the same however it is written', async () => {
  const integer = fc.integer({ min: -500, max: 500 });
  await fc.assert(
    fc.asyncProperty(
      integer,
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 9 }),
      async (p, q, factor) => {
        expect(await compare(`${p}/${q}`, `\\frac{${p * factor}}{${q * factor}}`)).toBe(true);
        expect(await compare(`\\frac{${p}}{${q}}`, `\\dfrac{${p + 1}}{${q}}`)).toBe(false);
        expect(await compare(`\\frac{${p}}{4}`, String(p / 4))).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
});

test('a set has no order, a tuple has one', async () => {
  const items = fc.uniqueArray(fc.integer(), { minLength: 2, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(items, async all => {
      const turned = [...all.slice(1), all[0]];
      expect(await compare(`\\{${all.join(',')}\\}`, `\\{${turned.join(', ')}\\}`)).toBe(true);
      expect(await compare(`(${all.join(',')})`, `(${turned.join(', ')})`)).toBe(false);
    }),
    { numRuns: 30 },
  );
});

test('any text equals itself, and the comparison always comes back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), fc.string(), async (a, b) => {
      expect(await comparer.equal(a, a)).toBe(a.trim() !== '');
      expect(await compare(a, b)).toBe(await compare(b, a));
    }),
    { numRuns: 100 },
  );
});

test('what asks for endless work is not equal, and holds up nobody', async () => {
  const hostile = [
    '9^{9^{9^{9^{9}}}}',
    '(10^{9})!',
    '\\sum_{i=1}^{10^{12}} i',
    '\\prod_{i=1}^{10^{9}} (i+1)',
    '{'.repeat(900),
    '('.repeat(900),
    '\\sqrt{'.repeat(150),
    `${'x^{'.repeat(200)}1${'}'.repeat(200)}`,
    '1'.repeat(2_000_000),
    '\\int_0^1 e^{-x^2} dx',
    '2^{2^{100}}',
    '(1+i)^{10^9}',
    '\\binom{40000}{20000}',
    '\\sqrt[100]{2^{200000}}',
    '\\lfloor e^{10^{12}}\\rfloor',
    '\\sin(10^{300})',
    '1e999999999',
    '\\{\\pm'.repeat(200),
    'a,'.repeat(499),
  ];
  const answers = Promise.all(hostile.map(text => comparer.equal(text, '2')));
  const neighbours = Promise.all(hostile.map((_, i) => comparer.equal(`\\frac{${2 * i}}{2}`, String(i))));
  expect(await answers).toEqual(hostile.map(() => false));
  expect(await neighbours).toEqual(hostile.map(() => true));
});
