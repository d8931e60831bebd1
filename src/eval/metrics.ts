/**
 * Probability that at least one of k samples is correct, estimated without bias from n ≥ k samples of which c are
 * correct: 1 − C(n−c, k) / C(n, k), as a product that cannot overflow (Chen et al. 2021, arXiv 2107.03374).
 */
export function passAtK(n: number, c: number, k: number): number {
  if (n - c < k) return 1;
  let allWrong = 1;
  for (let i = n - c + 1; i <= n; i++) allWrong *= 1 - k / i;
  return 1 - allWrong;
}

/** Whether the most frequent answer is correct; where several are equally frequent, the part of them that is. Samples without an answer do not vote. */
export function majority(samples: readonly { answer?: string; correct: boolean }[]): number {
  const votes = new Map<string, { count: number; correct: boolean }>();
  for (const { answer, correct } of samples) {
    if (answer === undefined) continue;
    const vote = votes.get(answer) ?? { count: 0, correct };
    vote.count++;
    votes.set(answer, vote);
  }
  const most = Math.max(0, ...[...votes.values()].map(vote => vote.count));
  const winners = [...votes.values()].filter(vote => vote.count === most);
  return winners.length ? winners.filter(vote => vote.correct).length / winners.length : 0;
}

export function mean(values: readonly number[]): number {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
}

/** With n − 1; undefined for one value. */
export function standardDeviation(values: readonly number[]): number | undefined {
  if (values.length < 2) return undefined;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}
