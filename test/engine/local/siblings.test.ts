import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Page, Siblings } from '../../../src/engine/local/siblings.ts';

const pageTokens = 4;

function emptyPage(index: number): Page {
  const children = new Siblings(pageTokens);
  return { index, tokens: [], complete: false, siblings: children, children, users: 1, lastUse: 0 };
}

const token = fc.nat({ max: 2 });
const action = fc.oneof(
  fc.record({ kind: fc.constant('add' as const) }),
  fc.record({ kind: fc.constant('fill' as const), which: fc.nat(), token }),
  fc.record({ kind: fc.constant('complete' as const), which: fc.nat() }),
  fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }),
  fc.record({ kind: fc.constant('ask' as const), from: fc.nat({ max: 3 }), tokens: fc.array(token, { maxLength: 9 }) }),
);

test('the longest agreement is what a look at every page finds, whatever is filled, completed and removed', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120, size: 'max' }), actions => {
      const siblings = new Siblings(pageTokens);
      let pages: Page[] = [];
      for (const [index, step] of actions.entries()) {
        if (step.kind === 'add') {
          pages.push(emptyPage(index));
          siblings.add(pages.at(-1)!);
        } else if (step.kind === 'ask') {
          const from = Math.min(step.from, step.tokens.length);
          const end = Math.min(from + pageTokens, step.tokens.length);
          const agreement = ({ tokens }: Page) => {
            const asked = step.tokens.slice(from, end);
            const differs = asked.findIndex((token, i) => token !== tokens[i]);
            return differs < 0 ? asked.length : differs;
          };
          const { page, common } = siblings.longestAgreement(step.tokens, from, end);
          expect(common).toBe(Math.max(0, ...pages.map(agreement)));
          if (page) expect(agreement(page)).toBe(common);
          else expect(common).toBe(0);
        } else {
          const fitting = pages.filter(({ complete }) => complete === (step.kind === 'remove'));
          const page = fitting[step.which % fitting.length];
          if (!page) continue;
          if (step.kind === 'fill' && page.tokens.length < pageTokens) page.tokens.push(step.token);
          else if (step.kind === 'complete') siblings.complete(page);
          else if (step.kind === 'remove') {
            siblings.remove(page);
            pages = pages.filter(other => other !== page);
          }
        }
        expect(siblings.isEmpty).toBe(pages.length === 0);
      }
    }),
    { numRuns: 500 },
  );
});
