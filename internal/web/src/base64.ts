// Base64 as Go's encoding/json and the safe's own texts have it: the standard
// alphabet with padding for bytes in JSON, the other one without padding for
// what stands in lines and links. Reading is strict: one value, one spelling.

/** Bytes with a buffer of their own, as the browser's interfaces want them. */
export type Bytes = Uint8Array<ArrayBuffer>;

export function toBase64(b: Bytes): string {
  let text = "";
  // In pieces: the arguments of a call are bounded.
  for (let at = 0; at < b.length; at += 0x8000) {
    text += String.fromCharCode(...b.subarray(at, at + 0x8000));
  }
  return btoa(text);
}

export function fromBase64(text: string): Bytes {
  let raw: string;
  try {
    raw = atob(text);
  } catch {
    throw new Error("what should be base64 is not");
  }
  if (btoa(raw) !== text) {
    throw new Error("what should be base64 is not in its one spelling");
  }
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

export function toBase64url(b: Bytes): string {
  return toBase64(b).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function fromBase64url(text: string): Bytes {
  if (/[^A-Za-z0-9_-]/.test(text)) {
    throw new Error("what should be base64url is not");
  }
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}

export function concat(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export async function sha256(b: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", b));
}

export function toHex(b: Uint8Array): string {
  return Array.from(b, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
