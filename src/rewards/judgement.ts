/** What an answer is worth: +1 where it is right, and less, down to −1, where it is not. */
export interface Judgement {
  score: number;
  correct: boolean;
}
