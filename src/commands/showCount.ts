/** How far something short has come: one live line in a terminal, gone when all is done; elsewhere a line at the end. */
export function showCount(what: string, done: number, total: number): void {
  if (process.stderr.isTTY) process.stderr.write(done < total ? `\r\x1b[K${what}  ${done}/${total}` : '\r\x1b[K');
  else if (done === total) console.error(`${what}  ${done}/${total}`);
}
