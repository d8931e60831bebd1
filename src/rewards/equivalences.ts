/** How an answer is compared with the truth: exact is the paper's; math also takes equal values in other notation. */
export const equivalences = ['exact', 'math'] as const;

export type Equivalence = (typeof equivalences)[number];
