// What the safe tells of people, and who is at the page.

import type { Safe } from "./api.ts";
import { type Bytes, fromBase64, sha256, toHex } from "./base64.ts";
import { type Enrolment, type Person, personOf, readRoster, type Roster } from "./roster.ts";
import { read } from "./statement.ts";

/** The safe's answers, as far as pages read them. Lists may be null. */
interface EveryoneAnswer {
  current: string;
  proposals: ProposalAnswer[] | null;
  enrolments: { enrolment: string }[] | null;
  suspensions: Suspension[] | null;
}
interface ProposalAnswer {
  roster: string;
  by: string;
  agreed: { statement: string }[] | null;
  after: number;
  objected: string[] | null;
  papers?: boolean;
  ready?: string;
}
interface SessionAnswer {
  person: string;
  store: string;
}

/** Stops a person, or one key of theirs. */
export interface Suspension {
  entry: number;
  person: string;
  key?: string;
}

/** A version of the roster that waits. */
export interface Proposal {
  bytes: Bytes;
  digest: string; // of the bytes, in hex
  next: Roster;
  by: string;
  agreed: string[]; // who has agreed since the last objection
  after: number;
  objected: string[];
  papers: boolean;
  ready: Date | undefined; // when it comes into force
}

/** An enrolment that waits, and its bytes. */
export interface Enrolled {
  bytes: Bytes;
  enrolment: Enrolment;
}

/** Who is at the page, and everybody as the safe tells of them. */
export interface Everyone {
  me: string;
  store: string;
  bytes: Bytes; // of the roster in force
  roster: Roster;
  self: Person | undefined; // as I stand there
  proposals: Proposal[];
  enrolments: Enrolled[];
  suspensions: Suspension[];
}

/** Asks the safe. known is the version of the roster in force when the page was drawn: those before it are not asked for. */
export async function askEveryone(safe: Safe, known: number): Promise<Everyone> {
  const session = await safe.get<SessionAnswer>("/v1/session");
  const answer = await safe.get<EveryoneAnswer>(`/v1/people?after=${known}`);
  const bytes = fromBase64(answer.current);
  const roster = readRoster(bytes);
  if (roster.store !== session.store) {
    throw new Error("The safe shows the roster of another safe.");
  }
  return {
    me: session.person,
    store: session.store,
    bytes,
    roster,
    self: personOf(roster, session.person),
    proposals: await Promise.all((answer.proposals ?? []).map(proposal)),
    enrolments: (answer.enrolments ?? []).map((e) => {
      const bytes = fromBase64(e.enrolment);
      return { bytes, enrolment: read<Enrolment>("an enrolment", bytes) };
    }),
    suspensions: answer.suspensions ?? [],
  };
}

async function proposal(p: ProposalAnswer): Promise<Proposal> {
  const bytes = fromBase64(p.roster);
  return {
    bytes,
    digest: toHex(await sha256(bytes)),
    next: readRoster(bytes),
    by: p.by,
    agreed: (p.agreed ?? []).map((s) => (JSON.parse(s.statement) as { person: string }).person),
    after: p.after,
    objected: p.objected ?? [],
    papers: p.papers ?? false,
    ready: p.ready === undefined ? undefined : new Date(p.ready),
  };
}

/** The keys of a person that are suspended by themselves. */
export function suspendedKeys(e: Everyone, name: string): string[] {
  return e.suspensions.flatMap((s) => (s.person === name && s.key !== undefined ? [s.key] : []));
}
