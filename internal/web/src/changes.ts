// What a version of the roster changes, a line each, in the words of a
// terminal (package compose, Changes).

import { current, type Copy, fingerprint, type Passkey, type Person, personOf, type Roster } from "./roster.ts";

export async function changes(r: Roster, next: Roster): Promise<string[]> {
  const lines: string[] = [];
  for (const p of next.people ?? []) {
    const old = personOf(r, p.name);
    lines.push(...(old === undefined ? ["adds " + (await describe(p))] : await personChanges(old, p)));
  }
  for (const p of r.people ?? []) {
    if (personOf(next, p.name) === undefined) {
      lines.push(`removes ${p.name}, ${roles(p)}`);
    }
  }
  if (r.gate !== next.gate) {
    lines.push(`gives the gate the host key ${next.gate === undefined ? "none" : await fingerprint(next.gate)}`);
  }
  if (r.domain !== next.domain) {
    const former = r.domain === undefined ? "" : `, did to ${quote(r.domain)}`;
    lines.push(`binds passkeys to the domain ${quote(next.domain)}${former}`);
  }
  for (const key of next.ledger_keys.slice(r.ledger_keys.length)) {
    lines.push(`gives the ledger one more key: ${key}`);
  }
  for (const entry of next.lifted ?? []) {
    if (!r.lifted?.includes(entry)) {
      lines.push(`lifts the suspension of ledger entry ${entry}`);
    }
  }
  return [...lines, ...periodChanges(r, next)];
}

function quote(text = ""): string {
  return JSON.stringify(text);
}

/**
 * Who somebody is, with all that they act with. The full name is quoted: it is
 * what they call themselves, and could go on like the line does.
 */
export async function describe(p: Person): Promise<string> {
  let s = p.name;
  if (p.full_name !== undefined) {
    s += ` (${quote(p.full_name)})`;
  }
  s += `, ${roles(p)}`;
  if (p.ssh !== undefined) {
    s += `, SSH key ${await sshKeys(p)}`;
  }
  if (p.passkeys !== undefined) {
    s += `, ${await passkeys(p)}`;
  }
  if (p.addresses !== undefined) {
    s += `, from ${addresses(p)}`;
  }
  if (p.mail !== undefined) {
    s += `, mail to ${p.mail}`;
  }
  return s;
}

function roles(p: Person): string {
  return p.roles.join(" and ");
}

async function sshKeys(p: Person): Promise<string> {
  return (await Promise.all((p.ssh ?? []).map(fingerprint))).join(" and ") || "none";
}

async function passkeys(p: Person): Promise<string> {
  return (await Promise.all((p.passkeys ?? []).map(passkey))).join(" and ") || "no passkey";
}

async function passkey(k: Passkey): Promise<string> {
  return `passkey ${k.use === "release" ? "for releases" : "to sign in"} ${await fingerprint(k.key)}${k.synced ? " (synced)" : ""}`;
}

function addresses(p: Person): string {
  return (p.addresses ?? []).join(" or ") || "nowhere";
}

async function personChanges(old: Person, p: Person): Promise<string[]> {
  const lines: string[] = [];
  const add = (was: unknown, is: unknown, line: string) => {
    if (JSON.stringify(was) !== JSON.stringify(is)) {
      lines.push(line);
    }
  };
  add(old.full_name, p.full_name, `${p.name} is called ${quote(p.full_name)}, was ${quote(old.full_name)}`);
  add(old.roles, p.roles, `${p.name} becomes ${roles(p)}, was ${roles(old)}`);
  add(old.key, p.key, `replaces the personal key of ${p.name}`);
  add(old.ssh, p.ssh, `${p.name} signs with the SSH key ${await sshKeys(p)}, did with ${await sshKeys(old)}`);
  add(old.passkeys, p.passkeys, `${p.name} has ${await passkeys(p)}, had ${await passkeys(old)}`);
  add(old.addresses, p.addresses, `${p.name} comes from ${addresses(p)}, did from ${addresses(old)}`);
  add(old.mail, p.mail, `mails for ${p.name} go to ${quote(p.mail)}, did to ${quote(old.mail)}`);
  return lines;
}

function periodChanges(r: Roster, next: Roster): string[] {
  const lines: string[] = [];
  for (const [i, period] of next.periods.entries()) {
    let outer = r.periods[i]?.outer_copies;
    let inner = r.periods[i]?.inner_copies;
    if (i >= r.periods.length) {
      const last = current(r);
      const fresh: string[] = [];
      if (last.outer !== period.outer) {
        fresh.push("keykeepers");
      } else {
        outer = last.outer_copies;
      }
      if (last.inner !== period.inner) {
        fresh.push("operators");
      } else {
        inner = last.inner_copies;
      }
      lines.push(`begins period ${i + 1} with a new role key of the ${fresh.join(", and one of the ")}`);
    }
    lines.push(...copyChanges(next, "outer", i + 1, outer, period.outer_copies), ...copyChanges(next, "inner", i + 1, inner, period.inner_copies));
  }
  return lines;
}

// Whose copies of a role key come, go and are replaced. That those who go lose
// theirs goes without saying.
function copyChanges(next: Roster, key: string, period: number, old: Copy[] = [], now: Copy[] = []): string[] {
  const lines: string[] = [];
  for (const c of now) {
    const before = old.find((o) => o.person === c.person);
    if (before === undefined) {
      lines.push(`gives ${c.person} a copy of the ${key} key of period ${period}`);
    } else if (before.sealed !== c.sealed) {
      lines.push(`replaces the copy of the ${key} key of period ${period} that ${c.person} has`);
    }
  }
  for (const c of old) {
    if (personOf(next, c.person) !== undefined && !now.some((n) => n.person === c.person)) {
      lines.push(`takes the copy of the ${key} key of period ${period} from ${c.person}`);
    }
  }
  return lines;
}

/** What a version lacks, a line each (package compose, Lacks). */
export function lacks(r: Roster): string[] {
  const people = r.people ?? [];
  const lines: string[] = [];
  for (const role of ["keykeeper", "operator"]) {
    if (people.filter((p) => p.roles.includes(role)).length < 2) {
      lines.push(`there is no second ${role}: if the one falls ill, nothing can be read`);
    }
  }
  for (const [i, period] of r.periods.entries()) {
    lines.push(...lacksCopies(people, "keykeeper", "outer", i + 1, period.outer_copies), ...lacksCopies(people, "operator", "inner", i + 1, period.inner_copies));
  }
  return lines;
}

function lacksCopies(people: Person[], role: string, key: string, period: number, copies: Copy[] = []): string[] {
  if (copies.length === 0) {
    return [`nobody has a copy of the ${key} key of period ${period}: what was sealed to it opens with that key's own file or page`];
  }
  const without = people.filter((p) => p.roles.includes(role) && !copies.some((c) => c.person === p.name));
  return without.map((p) => `${p.name} has no copy of the ${key} key of period ${period}`);
}
