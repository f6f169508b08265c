// Makes versions of the roster that a keykeeper proposes from a page: people who
// come in, with copies of the outer keys, and new outer keys (package compose).

import { type Bytes, toBase64 } from "./base64.ts";
import type { OuterKeys } from "./copies.ts";
import type { Suspension } from "./everyone.ts";
import { PrivateKey, sealCopy } from "./keys.ts";
import { type Copy, current, type Enrolment, keysOf, type Period, type Person, personOf, type Roster } from "./roster.ts";
import { spell, spellTime } from "./statement.ts";

/** The bytes of a version, whose digest people compare in words. */
export function encodeRoster(r: Roster): Bytes {
  const fields: Record<string, unknown> = { v: r.v, store: r.store, n: r.n };
  if (r.previous !== undefined) {
    fields.previous = r.previous;
  }
  fields.ledger_keys = r.ledger_keys;
  fields.periods = r.periods.map(periodFields);
  for (const name of ["people", "gate", "domain", "lifted"] as const) {
    const value = r[name];
    if (value !== undefined && value.length > 0) {
      fields[name] = value; // people as they enrolled: their fields are in order
    }
  }
  return spell(fields);
}

function periodFields(p: Period): Record<string, unknown> {
  const fields: Record<string, unknown> = { from: p.from, outer: p.outer, inner: p.inner };
  for (const name of ["outer_copies", "inner_copies"] as const) {
    const copies = p[name];
    if (copies !== undefined && copies.length > 0) {
      fields[name] = copies.map((c) => ({ person: c.person, sealed: c.sealed }));
    }
  }
  return fields;
}

// The beginning of the version after r, a copy; digest is that of r.
function nextOf(r: Roster, digest: string): Roster {
  return { ...structuredClone(r), n: r.n + 1, previous: digest };
}

/**
 * Composes a version with these people, or their new keys. With the keys it
 * gives copies to all keykeepers who lack some; they must be those of all
 * periods of which anybody has a copy, if a keykeeper comes in. Who is suspended
 * and gets other keys counts again.
 */
export async function add(r: Roster, digest: string, enrolments: Enrolment[], keys: OuterKeys, suspensions: Suspension[], now: Date): Promise<Roster> {
  const next = nextOf(r, digest);
  for (const e of enrolments) {
    const p = e.person;
    const old = personOf(r, p.name);
    if (p.roles.includes("operator")) {
      throw new Error(`${p.name} is a matter of the operators: only one of them can seal their role keys.`);
    }
    if (["keykeeper", "operator"].some((role) => old?.roles.includes(role) && !p.roles.includes(role))) {
      throw new Error(`${p.name} would no longer be what they are, and still know its role key: remove them first, from a terminal.`);
    }
    if (p.roles.includes("keykeeper") && !hasAll(r, keys)) {
      throw new Error(`${p.name} is a matter of a keykeeper who can open all outer keys, and you cannot.`);
    }
    join(next, e);
    if (old !== undefined && replaces(old, p)) {
      lift(next, suspensions.flatMap((s) => (s.person === p.name && s.key === undefined ? [s.entry] : [])));
    }
  }
  for (const [n, key] of keys) {
    await share(next, next.periods[n - 1], key, now);
  }
  return next;
}

// Whether no key of the person remains: what was suspended with the person is
// gone for good then.
function replaces(old: Person, p: Person): boolean {
  const before = keysOf(old);
  return before.length > 0 && !keysOf(p).some((key) => before.includes(key)) && (p.key === undefined || p.key !== old.key);
}

function lift(r: Roster, entries: number[]): void {
  r.lifted = [...new Set([...(r.lifted ?? []), ...entries])].sort((a, b) => a - b);
}

function hasAll(r: Roster, keys: OuterKeys): boolean {
  return r.periods.every((p, i) => keys.has(i + 1) || (i + 1 < r.periods.length && (p.outer_copies ?? []).length === 0));
}

// Puts somebody into r who has enrolled. The first with passkeys bring the
// domain, which is then that of all. Copies that were sealed to another key go.
function join(r: Roster, { person, domain }: Enrolment): void {
  const others = (r.people ?? []).filter((p) => p.name !== person.name);
  if (domain !== undefined && domain !== r.domain) {
    if (r.people?.some((p) => p.passkeys !== undefined)) {
      throw new Error(`${person.name} has made passkeys for ${domain}, and those of the others are for ${r.domain ?? ""}: they must enrol there.`);
    }
    r.domain = domain;
  }
  const replaced = personOf(r, person.name)?.key !== person.key;
  r.people = byName([...others, person], (p) => p.name);
  for (const period of replaced ? r.periods : []) {
    period.outer_copies = (period.outer_copies ?? []).filter((c) => c.person !== person.name);
    period.inner_copies = (period.inner_copies ?? []).filter((c) => c.person !== person.name);
  }
}

// In the order of Go's strings, which are compared as bytes: names are ASCII.
function byName<T>(all: T[], name: (t: T) => string): T[] {
  return all.sort((a, b) => (name(a) < name(b) ? -1 : 1));
}

// Seals the key of a period to those keykeepers who have no copy of it.
async function share(r: Roster, period: Period | undefined, key: PrivateKey<"outer">, made: Date): Promise<void> {
  if (period?.outer !== key.recipient) {
    throw new Error("a key is not that of its period");
  }
  const copies: Copy[] = period.outer_copies ?? [];
  for (const p of (r.people ?? []).filter((p) => p.roles.includes("keykeeper") && !copies.some((c) => c.person === p.name))) {
    copies.push({ person: p.name, sealed: toBase64(await sealCopy(key, personalKey(p), made)) });
  }
  period.outer_copies = byName(copies, (c) => c.person);
}

function personalKey(p: Person): string {
  if (p.key === undefined) {
    throw new Error(`${p.name} is a keykeeper without a personal key`);
  }
  return p.key;
}

/**
 * Composes a version that begins a period with a new outer key, made here and
 * sealed to all keykeepers. That of the operators stays.
 */
export async function renew(r: Roster, digest: string, now: Date): Promise<Roster> {
  const next = nextOf(r, digest);
  const last = current(next);
  const key = await PrivateKey.generate("outer");
  // Clocks differ, and the last period may have begun just now.
  const from = new Date(Math.max(now.getTime(), Date.parse(last.from) + 1000));
  const period: Period = { ...structuredClone(last), from: spellTime(from), outer: key.recipient, outer_copies: [] };
  next.periods.push(period);
  await share(next, period, key, now);
  return next;
}
