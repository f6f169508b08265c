import {
  personOf,
  readRoster
} from "./shared-JMBBHRIC.js";
import {
  fromBase64,
  read,
  sha256,
  toHex
} from "./shared-JFX4GKKW.js";

// everyone.ts
async function askEveryone(safe, known) {
  const session = await safe.get("/v1/session");
  const answer = await safe.get(`/v1/people?after=${known}`);
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
      const bytes2 = fromBase64(e.enrolment);
      return { bytes: bytes2, enrolment: read("an enrolment", bytes2) };
    }),
    suspensions: answer.suspensions ?? []
  };
}
async function proposal(p) {
  const bytes = fromBase64(p.roster);
  return {
    bytes,
    digest: toHex(await sha256(bytes)),
    next: readRoster(bytes),
    by: p.by,
    agreed: (p.agreed ?? []).map((s) => JSON.parse(s.statement).person),
    after: p.after,
    objected: p.objected ?? [],
    papers: p.papers ?? false,
    ready: p.ready === void 0 ? void 0 : new Date(p.ready)
  };
}
function suspendedKeys(e, name) {
  return e.suspensions.flatMap((s) => s.person === name && s.key !== void 0 ? [s.key] : []);
}

export {
  askEveryone,
  suspendedKeys
};
