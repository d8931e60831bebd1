import { Template } from '@huggingface/jinja';
import { expect, test } from 'vitest';
import { BoundedTemplate } from '../../src/text/boundedTemplate.ts';

const doubled = (start: string, join: string, use: string, times = 40) =>
  `{% set ns = namespace(x=${start}) %}{% for i in range(${times}) %}{% set ns.x = ns.x ${join} ns.x %}{% endfor %}${use}`;

test.each([
  ['a long loop', '{% for i in range(1000000000) %}x{% endfor %}'],
  ['a loop without end', '{% for i in range(1e999) %}{% endfor %}'],
  ['loops in loops', `${'{% for i in range(1000) %}'.repeat(4)}${'{% endfor %}'.repeat(4)}`],
  ['loops over one list', '{% set a = range(30000) %}{% for i in a %}{% for j in a %}{% endfor %}{% endfor %}'],
  ['a loop with a condition', '{% set a = range(90000) %}{% for i in a if i in a and i < 0 %}{% endfor %}'],
  ['text that doubles', doubled('"xx"', '~', '{{ ns.x }}')],
  ['a list that doubles', doubled('[1]', '+', '')],
  ['text cut into characters', doubled('"x"', '~', '{{ ns.x.split("") }}', 22)],
  [
    'macros that call each other',
    '{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(64) }}',
  ],
  ['sorting again and again', '{% set a = range(9999) %}{% for i in range(99999) %}{% set b = a | sort %}{% endfor %}'],
])('%s ends with an error', (_, text) => {
  const start = performance.now();
  expect(() => new BoundedTemplate(text).render({})).toThrow(/it takes more than 2000000 steps|it writes more than/);
  // Generous: it takes a second or two, where the loops as written would take hours.
  expect(performance.now() - start).toBeLessThan(60_000);
});

test('what a template says within its bounds is what the package says', () => {
  const text =
    '{% macro m(x) %}<{{ x | upper }}>{% endmacro %}{% for i in range(2, 9, 3) %}{{ loop.index }}:{{ i }}{{ m("a") }} {% endfor %}' +
    '{% for i in range(4, 0, -2) %}{{ i }}{% else %}none{% endfor %}{{ "a,b".split(",") | join(";") }}{{ none is none }}' +
    '{{ strftime_now("%Y") }}{% for k, v in data.items() %}{{ k }}={{ v | tojson }}{% endfor %}{{ True and not false }}';
  const variables = { data: { x: [1, { y: null }], z: 'é' } };
  expect(new BoundedTemplate(text).render(variables)).toBe(new Template(text).render(variables));
  expect(() => new BoundedTemplate('{{ raise_exception("no tools") }}').render({})).toThrow('no tools');
});

test('a dialogue of ten thousand messages is within the bounds', () => {
  const text =
    "{% for m in messages %}{{ '<' + m.role + '>' + (m.content | trim) }}{% if m.x is defined %}{{ m.x }}{% endif %}{% endfor %}";
  const messages = Array.from({ length: 10_000 }, () => ({ role: 'user', content: ' text ' }));
  expect(new BoundedTemplate(text).render({ messages })).toBe('<user>text'.repeat(10_000));
});
