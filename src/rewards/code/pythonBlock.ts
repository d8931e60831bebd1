/** The last Python block of an answer; undefined where there is none. A block that is not closed is none: it was cut. */
export function lastPythonBlock(answer: string): string | undefined {
  const blocks = [...answer.matchAll(/^[ \t]*```[ \t]*(?:python|py)3?[ \t]*\r?\n(.*?)^[ \t]*```/gims)];
  return blocks.at(-1)?.[1];
}
