// Eight words for a digest, as package words makes them, which people compare
// by voice.

import list from "./words.txt";
import type { Bytes } from "./base64.ts";

const all = list.trim().split("\n");

export function wordsOf(digest: Bytes): string {
  const words: string[] = [];
  for (let bit = 0; bit < 88; bit += 11) {
    const at = bit >> 3;
    const three = ((digest[at] ?? 0) << 16) | ((digest[at + 1] ?? 0) << 8) | (digest[at + 2] ?? 0);
    words.push(all[(three >> (13 - (bit & 7))) & 0x7ff] ?? "");
  }
  return words.join(" ");
}
