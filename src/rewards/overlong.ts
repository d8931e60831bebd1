/**
 * The penalty, at most 0, that is added to the score of a response of `length` tokens: it sets in `buffer` tokens before
 * `maxLength` and reaches −1 there (Yu et al. 2025, soft overlong punishment).
 */
export function overlongPenalty(length: number, maxLength: number, buffer: number): number {
  return Math.min(0, (maxLength - buffer - length) / buffer);
}
