// Acting: a statement of a person, signed with one touch.

import type { Bytes } from "./base64.ts";
import { credentialOf, type Person } from "./roster.ts";
import { type Act, actNamespace, challenge, statement } from "./statement.ts";
import { Trouble } from "./trouble.ts";
import { assertionText, sign } from "./webauthn.ts";

/** Somebody who signs at this page. */
export interface Signer {
  store: string;
  person: string;
  domain: string; // of the passkeys
  passkeys: Bytes[]; // the ids of those for releases
}

/** The person as one who signs; keys that are suspended are of no use. */
export function signerOf(store: string, person: Person, domain: string, suspended: string[]): Signer {
  const usable = (person.passkeys ?? []).filter((k) => k.use === "release" && !suspended.includes(k.key));
  return { store, person: person.name, domain, passkeys: usable.map(credentialOf) };
}

/** An act as the safe is sent it, and the ledger keeps it. */
export interface Signed {
  statement: string;
  signature: string;
}

export async function signAct(s: Signer, act: Act): Promise<Signed> {
  if (s.passkeys.length === 0) {
    throw new Trouble("You have no passkey that signs, or it is suspended.", "Enrol anew with another device, or use a terminal, if you have an SSH key.");
  }
  const bytes = statement(s.store, s.person, new Date(), act);
  const assertion = await sign(s.domain, s.passkeys, await challenge(actNamespace, bytes));
  return { statement: new TextDecoder().decode(bytes), signature: assertionText(assertion) };
}
