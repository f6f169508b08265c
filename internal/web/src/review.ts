// What the page checks of a grant before a keykeeper is asked: that it is what
// the operator's request says, for the snapshots that are described, and which
// runs it opens.
//
// This is less than "strongroom opening release" checks on a keykeeper's own
// machine: neither the operator's signature, nor that the ledger vouches for
// the descriptions. For these the page takes the safe's word, with which it
// shows what is asked. What the safe cannot do is to have another grant signed
// than the one that is shown, or other envelopes opened than those of its runs.

import { type Bytes, sha256, toHex } from "./base64.ts";
import { read } from "./statement.ts";

/** What a grant says (package opening). */
export interface Grant {
  v: number;
  store: string;
  opening: string;
  operator: string;
  key: string;
  address: string;
  snapshots: { run: string; source: string; description: string }[];
  runs: string[];
  from: string;
  until: string;
  reason: string;
  roster: string;
  size: number;
  root: string;
}

/** What a release opens of one source: every file that was new in one of these collections. */
export interface Disclosed {
  source: string;
  collections: number;
  from: Date;
  to: Date;
}

export interface Review {
  grant: Grant;
  asked: Date; // when, as the request states
  notAfter: Date; // until when the request is good
  disclosed: Disclosed[]; // by source
  runs: Map<string, { source: string; envelope: string }>; // what the envelope of each run must be: its source and digest
}

/** What the safe hands out with a grant, as bytes. */
export interface Granted {
  grant: Bytes;
  statement: Bytes; // of the request
  descriptions: Bytes[];
}

interface Description {
  v: number;
  store: string;
  run: string;
  source: string;
  runs: Record<string, { envelope: string }>;
}

interface Request {
  v: number;
  store: string;
  act: string;
  person: string;
  time: string;
  what: { opening: string; not_after: string; snapshots: string[]; hours: number; reason: string; address: string };
}

/** Checks a grant for an opening of that store. */
export async function review(store: string, opening: string, granted: Granted, now: Date): Promise<Review> {
  const grant = read<Grant>("the grant", granted.grant);
  const request = read<Request>("the request", granted.statement);
  const descriptions = granted.descriptions.map((d) => read<Description>("the description of a snapshot", d));
  const refuse = (reason: string): never => {
    throw new Error(`The grant that the safe made is not what was asked for: ${reason}. Refuse it, and tell your colleagues.`);
  };
  const q = request.what;
  const hours = (Date.parse(grant.until) - Date.parse(grant.from)) / 3_600_000;
  if (grant.v !== 1 || request.v !== 1 || request.act !== "opening.request") {
    refuse("this page does not know its form");
  }
  if (grant.store !== store || request.store !== store || grant.opening !== opening || q.opening !== opening) {
    refuse("it is for another opening");
  }
  if (grant.operator !== request.person || grant.address !== q.address || grant.reason !== q.reason) {
    refuse("it names another operator, address or reason");
  }
  if (!(hours > 0 && hours <= q.hours && hours <= 72) || Date.parse(grant.from) > now.getTime() + 5 * 60_000 || !(Date.parse(grant.until) > now.getTime())) {
    refuse("it is for another time, or the clock of this device is wrong");
  }
  if (!sameList(grant.snapshots.map((s) => s.run), q.snapshots) || descriptions.length !== q.snapshots.length) {
    refuse("it is for other snapshots");
  }
  const runs = new Map<string, { source: string; envelope: string }>();
  for (const [i, d] of descriptions.entries()) {
    const s = grant.snapshots[i];
    const digest = toHex(await sha256(granted.descriptions[i] as Bytes));
    if (d.v !== 1 || d.store !== store || d.run !== s?.run || d.source !== s.source || s.description !== digest) {
      refuse("it describes a snapshot in another way than its description does");
    }
    for (const [run, { envelope }] of Object.entries(d.runs)) {
      const other = runs.get(run);
      if (other !== undefined && (other.source !== d.source || other.envelope !== envelope)) {
        refuse("a run is of two sources");
      }
      runs.set(run, { source: d.source, envelope });
    }
  }
  if (!sameList([...runs.keys()].sort(), grant.runs)) {
    refuse("it names other runs than those of its snapshots");
  }
  return { grant, asked: new Date(request.time), notAfter: new Date(q.not_after), disclosed: disclose(runs), runs };
}

function disclose(runs: Review["runs"]): Disclosed[] {
  const bySource = new Map<string, Disclosed>();
  for (const [run, { source }] of runs) {
    const at = timeOfRun(run);
    const d = bySource.get(source);
    if (d === undefined) {
      bySource.set(source, { source, collections: 1, from: at, to: at });
      continue;
    }
    d.collections++;
    d.from = at < d.from ? at : d.from;
    d.to = at > d.to ? at : d.to;
  }
  return [...bySource.values()].sort((a, b) => (a.source < b.source ? -1 : 1));
}

/** When a run was begun: the first 48 bits of its id. */
export function timeOfRun(run: string): Date {
  return new Date(parseInt(run.replaceAll("-", "").slice(0, 12), 16));
}

function sameList(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((s, i) => s === b[i]);
}
