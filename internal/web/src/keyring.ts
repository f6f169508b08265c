// What a keykeeper's passkey wraps: the personal key, and outer keys of
// periods, each in a file of its own. The safe keeps the keyring and can open
// nothing of it.

import type { Safe } from "./api.ts";
import { type Bytes, equal, fromBase64, fromBase64url, toBase64, toBase64url } from "./base64.ts";
import { type Passkey } from "./keys.ts";
import { spell, spellTime } from "./statement.ts";
import { tellColleagues, Trouble } from "./trouble.ts";

export interface Keyring {
  store: string;
  person: string;
  credential: Bytes; // of the passkey that opens it
  time: Date;
  personal: Bytes;
  periods: Map<number, Bytes>;
}

export function encodeKeyring(k: Keyring): Bytes {
  const periods = [...k.periods].sort(([a], [b]) => a - b).map(([n, sealed]) => ({ n, sealed: toBase64(sealed) }));
  return spell({
    v: 1,
    store: k.store,
    person: k.person,
    passkey: toBase64url(k.credential),
    time: spellTime(k.time),
    personal: toBase64(k.personal),
    periods,
  });
}

interface Spelled {
  store: string;
  person: string;
  passkey: string;
  time: string;
  personal: string;
  periods: { n: number; sealed: string }[];
}

/** Asks the safe for the keyring of a person, whom it must be of; undefined if there is none. */
export async function askKeyring(safe: Safe, store: string, person: string): Promise<Keyring | undefined> {
  const kept = await safe.get<{ keyring?: string }>("/v1/keyring");
  const keyring = kept.keyring === undefined ? undefined : parseKeyring(fromBase64(kept.keyring));
  if (keyring !== undefined && (keyring.store !== store || keyring.person !== person)) {
    throw new Trouble("The safe hands out another person's keyring.", tellColleagues);
  }
  return keyring;
}

// Reads what encodeKeyring writes, and nothing else.
function parseKeyring(b: Bytes): Keyring {
  try {
    const s = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b)) as Spelled;
    const keyring: Keyring = {
      store: s.store,
      person: s.person,
      credential: fromBase64url(s.passkey),
      time: new Date(s.time),
      personal: fromBase64(s.personal),
      periods: new Map(s.periods.map((p) => [p.n, fromBase64(p.sealed)])),
    };
    if (equal(encodeKeyring(keyring), b)) {
      return keyring;
    }
  } catch {
    // as below
  }
  throw new Trouble(
    "The safe's copy of your keyring cannot be read: it is of another version, or damaged.",
    "Load this page anew; one that lies on another host than the safe's has to be of the safe's version (strongroom web export). If that does not help, use a terminal with your key from paper, or have another keykeeper act. Then enrol anew with this device: that makes a new keyring.",
  );
}

export function passkeyOf(k: Keyring, domain: string): Passkey {
  return { domain, credential: k.credential };
}
