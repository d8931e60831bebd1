/** Work that is done in pieces: it pauses wherever others may have their turn. */
export type Pieces<T> = Generator<void, T>;

/** Does all of it at once. */
export function whole<T>(work: Pieces<T>): T {
  for (;;) {
    const piece = work.next();
    if (piece.done) return piece.value;
  }
}
