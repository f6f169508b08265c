// The roster as the safe hands it out (package access), as far as pages look at
// it. Its bytes are what people agree with; what is read of them here is what
// is shown.

import { type Bytes, fromBase64, fromBase64url, sha256, toBase64, toHex } from "./base64.ts";
import { read, spellWithin } from "./statement.ts";
import type { Use } from "./webauthn.ts";

export interface Roster {
  v: number;
  store: string;
  n: number;
  previous?: string;
  ledger_keys: string[];
  periods: Period[];
  people?: Person[];
  gate?: string;
  domain?: string;
  lifted?: number[];
}

export interface Period {
  from: string;
  outer: string;
  inner: string;
  outer_copies?: Copy[];
  inner_copies?: Copy[];
}

export interface Copy {
  person: string;
  sealed: string; // base64
}

export interface Person {
  name: string;
  full_name?: string;
  roles: string[];
  mail?: string;
  key?: string;
  ssh?: string[];
  addresses?: string[];
  passkeys?: Passkey[];
}

export interface Passkey {
  key: string; // "passkey <id> <public key>"
  use: Use;
  synced?: boolean;
}

export function readRoster(b: Bytes): Roster {
  const r = read<Roster>("a version of the roster", b);
  if (r.v !== 1) {
    throw new Error("a version of the roster is in a form that this page does not know");
  }
  return r;
}

export function personOf(r: Roster, name: string): Person | undefined {
  return r.people?.find((p) => p.name === name);
}

/** Reports whether both roles are there. From then on each version needs one person of each. */
export function founded(r: Roster): boolean {
  return ["keykeeper", "operator"].every((role) => r.people?.some((p) => p.roles.includes(role)));
}

export function current(r: Roster): Period {
  const last = r.periods.at(-1);
  if (last === undefined) {
    throw new Error("a version of the roster has no role keys");
  }
  return last;
}

/** The roles of which next begins a new role key. */
export function renewed(r: Roster, next: Roster): string[] {
  const [a, b] = [current(r), current(next)];
  return [...(a.outer !== b.outer ? ["keykeeper"] : []), ...(a.inner !== b.inner ? ["operator"] : [])];
}

/**
 * Says why next cannot follow r, whose bytes these are, "" if it can: what of
 * access.Roster.CheckSuccessor would not show among the changes.
 */
export async function unfit(r: Roster, bytes: Bytes, next: Roster): Promise<string> {
  const begun = next.periods.length - r.periods.length;
  const kept = r.periods.every((p, i) => {
    const q = next.periods[i];
    return q?.from === p.from && q.outer === p.outer && q.inner === p.inner;
  });
  if (next.store !== r.store) {
    return "it is of another safe";
  }
  if (next.n !== r.n + 1 || next.previous !== toHex(await sha256(bytes))) {
    return "it does not follow the version in force";
  }
  if (!founded(next)) {
    return "it has no keykeeper, or no operator";
  }
  if (!r.ledger_keys.every((key, i) => next.ledger_keys[i] === key)) {
    return "it takes out a key of the ledger";
  }
  if (!(r.lifted ?? []).every((entry) => next.lifted?.includes(entry))) {
    return "it takes out that a suspension was lifted";
  }
  if (!kept || begun > 1) {
    return "it changes the role keys of a period that has begun, or begins more than one";
  }
  if (begun === 1 && renewed(r, next).length === 0) {
    return "it begins a period without a new role key";
  }
  if (r.periods.some((p) => p.inner === current(next).outer || p.outer === current(next).inner)) {
    return "it makes the role key of one role that of the other";
  }
  return "";
}

/** Somebody who has enrolled, and is in no roster with these keys. */
export interface Enrolment {
  store: string;
  person: Person;
  domain?: string;
  outer?: string; // a new outer key, which they have made to found the safe with
  outer_copy?: string;
}

/**
 * Says why next cannot found the safe whose roster is r, "" if it can, as far as
 * its role keys go (access.CheckFounding).
 */
export function unfounded(r: Roster, next: Roster, enrolments: Enrolment[]): string {
  if (founded(r) || renewed(r, next).length === 0) {
    return "";
  }
  const last = current(next);
  if (last.inner !== current(r).inner) {
    return "it has another inner key than the safe was made with";
  }
  const made = enrolments.some((e) => {
    const copy = last.outer_copies?.find((c) => c.person === e.person.name);
    return standsAs(next, e.person) && e.outer === last.outer && e.outer_copy === copy?.sealed;
  });
  return made ? "" : "it begins an outer key with which none of its keykeepers has enrolled";
}

/** Reports whether a person stands in r in exactly this way. */
export function standsAs(r: Roster, p: Person): boolean {
  const stands = personOf(r, p.name);
  return stands !== undefined && spellWithin(stands) === spellWithin(p);
}

/** Names a key as ssh-keygen -l does: an SSH key, or a passkey. */
export async function fingerprint(key: string): Promise<string> {
  const [word, first = "", second = ""] = key.split(" ");
  const hash = await sha256(word === "passkey" ? fromBase64url(second) : fromBase64(first));
  return "SHA256:" + toBase64(hash).replace(/=+$/, "");
}

/** The id of a passkey, by which a browser finds it. */
export function credentialOf(p: Passkey): Bytes {
  return fromBase64url(p.key.split(" ")[1] ?? "");
}

/** The keys by which the safe knows a person, in the order of access.Person.Keys. */
export function keysOf(p: Person): string[] {
  const of = (use: Use) => (p.passkeys ?? []).filter((k) => k.use === use).map((k) => k.key);
  return [...(p.ssh ?? []), ...of("release"), ...of("sign-in")];
}
