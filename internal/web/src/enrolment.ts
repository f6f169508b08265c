// What somebody who was invited sends: how they will stand in the roster
// (package access, Enrolment).

import { type Bytes, fromBase64url, toBase64 } from "./base64.ts";
import { spell, spellTime, text } from "./statement.ts";
import { Trouble } from "./trouble.ts";
import type { Registration } from "./webauthn.ts";

/** The part of an invitation's link that no server sees. */
export interface Invitation {
  safe: string;
  store: string;
  person: string;
  roles: string[];
  token: string;
}

const openAgain = "Open the link of your invitation once more. It is good for half an hour, until your keys were sent.";

/** Reads the fragment of the link. */
export function parseInvitation(fragment: string): Invitation {
  if (fragment === "" || fragment === "#") {
    throw new Trouble("This page begins with the link of an invitation, and does not keep it.", openAgain);
  }
  const broken = new Trouble("The link of the invitation is not whole.", "Copy all of it, from https:// to its end. Whoever keeps the safe’s host makes a new one: strongroom people invite.");
  let i: Partial<Invitation>;
  try {
    i = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64url(fragment.replace(/^#/, "")))) as Partial<Invitation>;
  } catch {
    throw broken;
  }
  const { safe, store, person, roles, token } = i;
  if (
    ![safe, store, person, token].every((s) => typeof s === "string" && s !== "") ||
    !Array.isArray(roles) ||
    roles.length === 0 ||
    !roles.every((r) => typeof r === "string")
  ) {
    throw broken;
  }
  return { safe, store, person, roles, token } as Invitation;
}

/** How a person will stand in the roster, without the SSH keys and addresses of those who have some. */
export interface Person {
  name: string;
  fullName: string;
  roles: string[];
  mail: string;
  key?: string | undefined; // of keykeepers
  passkeys: Registration[];
}

/** The bytes of an enrolment, whose digest people compare in words. */
export function encodeEnrolment(e: {
  store: string;
  time: Date;
  person: Person;
  domain: string;
  outer?: string | undefined; // the public half of a new outer key, made by a founder
  outerCopy?: Bytes | undefined; // of that one, or of the one that the safe was made with
}): Bytes {
  const p = e.person;
  const person: Record<string, unknown> = { name: p.name };
  if (p.fullName !== "") {
    person.full_name = text(p.fullName);
  }
  person.roles = [...p.roles].sort();
  if (p.mail !== "") {
    person.mail = p.mail;
  }
  if (p.key !== undefined) {
    person.key = p.key;
  }
  person.passkeys = p.passkeys.map((k) => (k.synced ? { key: k.key, use: k.use, synced: true } : { key: k.key, use: k.use }));
  const enrolment: Record<string, unknown> = { v: 1, store: e.store, time: spellTime(e.time), person, domain: e.domain };
  if (e.outer !== undefined) {
    enrolment.outer = e.outer;
  }
  if (e.outerCopy !== undefined) {
    enrolment.outer_copy = toBase64(e.outerCopy);
  }
  return spell(enrolment);
}
