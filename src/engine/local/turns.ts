import type { Pieces } from '../../tensor/pieces.ts';

/** Does a piece of its work. @returns whether there is more of it now */
type Turn = () => boolean;

/** Whoever has had the least time goes next, a piece at a time: nobody waits for all that another has to do. */
export class Turns {
  readonly #mostTogether: number;
  readonly #members: { turn: Turn; spentMs: number }[] = [];

  /** @param mostTogether of those that came first take turns, the others wait: work that pauses keeps some memory */
  constructor(mostTogether = Number.POSITIVE_INFINITY) {
    this.#mostTogether = mostTogether;
  }

  /** Whoever is a member already stays it. It begins with as much time as the one who has had the least. */
  join(turn: Turn): void {
    if (this.#members.some(member => member.turn === turn)) return;
    const spentMs = this.#members.length === 0 ? 0 : this.#next().spentMs;
    this.#members.push({ turn, spentMs });
  }

  /** One piece. @returns whether anybody has more */
  turn(): boolean {
    const member = this.#next();
    const began = performance.now();
    const more = member.turn();
    member.spentMs += performance.now() - began;
    if (!more) this.#members.splice(this.#members.indexOf(member), 1);
    return this.#members.length > 0;
  }

  #next() {
    const together = this.#members.slice(0, this.#mostTogether);
    return together.reduce((least, member) => (member.spentMs < least.spentMs ? member : least));
  }
}

/** A turn a piece, and what comes of all of them. */
export function inTurns<T>(work: Pieces<T>, join: (turn: Turn) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    join(() => {
      try {
        const piece = work.next();
        if (piece.done) resolve(piece.value);
        return !piece.done;
      } catch (error) {
        reject(error);
        return false;
      }
    });
  });
}
