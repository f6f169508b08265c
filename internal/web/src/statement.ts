// What people sign, in exactly the bytes that the safe makes of it (package
// spelling): one line of JSON with its fields in the order of docs/format.md,
// nothing escaped but what must be, a newline at the end.
//
// Objects here are always built field by field. JavaScript keeps the order in
// which fields were set, so what is built in order is spelled in order.

import { type Bytes, concat, equal, sha256, utf8 } from "./base64.ts";

/** A signature under an act stands in this namespace, one under a release in the other. */
export const actNamespace = "strongroom/v1/act";
export const releaseNamespace = "strongroom/v1/release";
export const signInNamespace = "strongroom/v1/sign-in";

/** The bytes of v as package spelling writes them, without the newline. */
export function spellWithin(v: unknown): string {
  check(v);
  // JSON.stringify escapes as Go does, but for the two line separators.
  return JSON.stringify(v).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

/** The bytes of v as package spelling writes them. */
export function spell(v: unknown): Bytes {
  return utf8(spellWithin(v) + "\n");
}

/**
 * Reads what has one spelling; what it was is for the error. That the fields are
 * those of T, and in their order, is the safe's business: what matters here is
 * that no reader of the same bytes finds another value.
 */
export function read<T>(what: string, b: Bytes): T {
  try {
    const v: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b));
    if (equal(spell(v), b)) {
      return v as T;
    }
  } catch {
    // as below
  }
  throw new Error(`${what} cannot be read`);
}

// What JSON.stringify would change silently, or Go would write in another way.
function check(v: unknown): void {
  switch (typeof v) {
    case "string":
      if (hasLoneSurrogate(v)) {
        throw new Error("a text is not valid Unicode");
      }
      return;
    case "boolean":
      return;
    case "number":
      if (!Number.isSafeInteger(v) || Object.is(v, -0)) {
        throw new Error("a number is not a whole one that can be spelled");
      }
      return;
    case "object":
      if (v === null) {
        return;
      }
      if (Array.isArray(v)) {
        for (const item of v as unknown[]) {
          check(item); // also what a sparse list lacks, which has no spelling
        }
        return;
      }
      if (Object.getPrototypeOf(v) === Object.prototype) {
        Object.keys(v).forEach(check);
        Object.values(v).forEach(check);
        return;
      }
  }
  throw new Error("a value that has no spelling");
}

function hasLoneSurrogate(text: string): boolean {
  return /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

/** A time as Go writes it, in whole seconds. */
export function spellTime(t: Date): string {
  return t.toISOString().replace(/\.\d+Z$/, "Z");
}

const maxText = 4096;

/**
 * The text, if the ledger can hold it: a line of at most 4,096 bytes without
 * characters that break or disguise it (package ledger, Text).
 */
export function text(s: string): string {
  if (hasLoneSurrogate(s) || /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(s)) {
    throw new Error("Write it on one line, without characters that do not show.");
  }
  if (utf8(s).length > maxText) {
    throw new Error("The text is too long: 4,096 bytes are possible.");
  }
  return s;
}

/** An act: its kind, and what is said, whose fields are in order. */
export interface Act {
  act: string;
  what: Record<string, unknown>;
}

export function agree(a: { n: number; digest: string; after: number }): Act {
  return { act: "roster.agree", what: { n: a.n, digest: a.digest, after: a.after } };
}

export function object(a: { n: number; digest: string; reason: string }): Act {
  return { act: "roster.object", what: { n: a.n, digest: a.digest, reason: text(a.reason) } };
}

/** Suspends a person, or the one key of theirs that is named. */
export function suspend(a: { person: string; key?: string; reason: string }): Act {
  const what: Record<string, unknown> = { person: a.person };
  if (a.key !== undefined) {
    what.key = a.key;
  }
  what.reason = text(a.reason);
  return { act: "person.suspend", what };
}

export function refuse(opening: string, reason: string): Act {
  return { act: "opening.refuse", what: { opening, reason: text(reason) } };
}

export function close(opening: string, reason: string): Act {
  return { act: "opening.close", what: { opening, reason: text(reason) } };
}

export function rule(a: { verdict: Verdict; from: string; to: string; need: string; reason: string }): Act {
  return { act: "map.rule", what: { verdict: a.verdict, from: text(a.from), to: text(a.to), need: text(a.need), reason: text(a.reason) } };
}

/** What somebody says of a dependency on the map. */
export type Verdict = "confirmed" | "rejected" | "added";

export function takeBack(a: { entry: number; reason: string }): Act {
  return { act: "map.take-back", what: { entry: a.entry, reason: text(a.reason) } };
}

/** The bytes of a statement: the act, with who states it, where and when. */
export function statement(store: string, person: string, time: Date, a: Act): Bytes {
  return spell({ v: 1, store, act: a.act, person, time: spellTime(time), what: a.what });
}

/** What a passkey signs for a message: SHA-256(namespace, newline, message). */
export function challenge(namespace: string, message: Uint8Array): Promise<Bytes> {
  return sha256(concat(utf8(namespace + "\n"), message));
}

/** What is signed to sign in: the safe that is meant, by its store, a newline, and the safe's nonce. */
export function signInMessage(store: string, nonce: Bytes): Bytes {
  return concat(utf8(store + "\n"), nonce);
}

/** What is signed for a release: the safe's nonce, and the exact bytes of the grant. */
export function releaseMessage(nonce: Bytes, grant: Bytes): Bytes {
  return concat(nonce, grant);
}
