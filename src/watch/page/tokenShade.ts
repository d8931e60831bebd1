/** How tokens are shaded by what the teacher thinks of them. */

/** Gaps of so many nats between teacher and student have the full colour; a tenth of it has none. */
const FULL_COLOUR = 2;

/** The CSS class of a token's shade, and its strength from 0 to 1. */
export interface TokenShade {
  side: 'more' | 'less';
  strength: number;
}

/** The shade for a gap q − s, in nats; undefined where it is too small for one. */
export function tokenShade(gap: number): TokenShade | undefined {
  const strength = Math.min(1, Math.abs(gap) / FULL_COLOUR);
  return strength < 0.1 ? undefined : { side: gap > 0 ? 'more' : 'less', strength };
}

/** The two classes in CSS: the strength is the variable `--a`. */
export const shadeStyle = [
  ['more', 'opd'],
  ['less', 'sod'],
]
  .map(
    ([side, color]) => `.${side} { background:color-mix(in srgb, var(--${color}) calc(var(--a) * 70%), transparent); }`,
  )
  .join('\n');
