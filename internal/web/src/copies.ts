// What the passkey of a keykeeper keeps, and the copies of all periods that it
// opens, where all are needed. A release opens no more than it needs: see Ring.

import type { Safe } from "./api.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { openCopy, PrivateKey, wrap } from "./keys.ts";
import { encodeKeyring, type Keyring, passkeyOf } from "./keyring.ts";
import type { Period } from "./roster.ts";

/** Outer keys, by their periods. */
export type OuterKeys = Map<number, PrivateKey<"outer">>;

/** Opens a person's copies of the outer keys of all periods. */
export async function openCopies(periods: Period[], person: string, personal: PrivateKey<"personal">): Promise<OuterKeys> {
  const keys: OuterKeys = new Map();
  for (const [i, p] of periods.entries()) {
    const copy = p.outer_copies?.find((c) => c.person === person);
    if (copy === undefined) {
      continue;
    }
    try {
      keys.set(i + 1, await openCopy(personal, fromBase64(copy.sealed), p.outer));
    } catch (cause) {
      throw new Error(`Your copy of the outer key of period ${i + 1} does not hold that key: ${(cause as Error).message}. Do nothing with this safe before you know why.`, { cause });
    }
  }
  if (keys.size === 0) {
    throw new Error("No copy of the outer key is sealed to you yet: a keykeeper who has it must add you once more, here or with strongroom people add.");
  }
  return keys;
}

/** Wraps the key of a period under the passkey by itself, with one touch, and has the safe keep that. */
export async function keepUnderPasskey(safe: Safe, keyring: Keyring, domain: string, period: number, key: PrivateKey<"outer">): Promise<void> {
  const now = new Date();
  const sealed = await wrap(key, passkeyOf(keyring, domain), now);
  const next: Keyring = { ...keyring, time: now, periods: new Map([...keyring.periods, [period, sealed]]) };
  await safe.post("/v1/keyring", { keyring: toBase64(encodeKeyring(next)) });
}
