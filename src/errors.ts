/** Something the person who runs `sod` can mend. The command line prints its message alone, without a stack, and exits with 1. */
export class UserError extends Error {
  override name = 'UserError';
}
