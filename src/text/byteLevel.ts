/** Bytes 0 to 255 as the printable characters by which byte-level tokenizers write them (as in GPT-2). */
export const BYTE_CHARACTERS = byteCharacters();

/** Printable bytes stand for themselves, the others for the characters from U+0100 on, in order. */
function byteCharacters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 255 && byte !== 173);
    return String.fromCodePoint(printable ? byte : next++);
  });
}
