/** Tokens of the first 64 demonstrations of the shop, the demo's batch of supervised training. */
export const demonstrationLengths: readonly number[] = [
  208, 206, 203, 206, 206, 198, 204, 206, 159, 206, 204, 159, 161, 159, 159, 201, 206, 319, 202, 161, 202, 204, 290,
  246, 291, 159, 248, 252, 159, 248, 161, 208, 206, 159, 248, 159, 206, 246, 206, 248, 204, 202, 200, 206, 206, 206,
  249, 159, 155, 161, 274, 161, 367, 159, 250, 159, 159, 323, 203, 292, 159, 206, 159, 208,
];

/** Tokens of the system message, with which each of them begins. */
export const demonstrationPrefix = 25;
