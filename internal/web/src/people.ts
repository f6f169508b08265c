// The page "People", for those whose passkey signs: agreeing with a proposed
// version of the roster, objecting to it, and suspending somebody.
//
// What a proposal changes, and its words, are worked out here from the exact
// bytes whose digest is signed, and the words of the roster in force from those
// that it is compared with. So the page shows what its reader agrees with,
// as far as the page itself is the safe's own; whoever wants to be sure of that
// agrees from a terminal.

import { signAct, signerOf } from "./acting.ts";
import { Problem, Safe } from "./api.ts";
import { sha256 } from "./base64.ts";
import { changes, lacks } from "./changes.ts";
import { action, byId, everybodyReads, field, h, reasonField, showError } from "./dom.ts";
import { askEveryone, type Everyone, type Proposal, suspendedKeys } from "./everyone.ts";
import { offerJoining } from "./joining.ts";
import { offerKeys } from "./ownkeys.ts";
import { digestOf, type Member, memberAt, type Place, signs } from "./place.ts";
import { again, ended, redraw } from "./redraw.ts";
import { current, fingerprint, founded, keysOf, type Passkey, type Person, personOf, renewed, standsAs, unfit, unfounded } from "./roster.ts";
import { agree, object, suspend } from "./statement.ts";
import { when } from "./time.ts";
import { Trouble } from "./trouble.ts";
import { wordsOf } from "./words.ts";

const safe = new Safe();
const status = byId("people-status");

async function start(): Promise<void> {
  const everyone = await askEveryone(safe, known());
  const self = everyone.self;
  const at: Place = {
    safe,
    status,
    everyone,
    redraw: async () => {
      await redraw(status);
      await start();
    },
  };
  const m = self && (await memberAt(at, self));
  document.querySelector("#roster dd.words")?.replaceChildren(wordsOf(await sha256(everyone.bytes)));
  for (const place of document.querySelectorAll<HTMLElement>("[data-proposal]")) {
    const p = everyone.proposals.find((p) => p.digest === place.dataset.proposal);
    const panel = place.querySelector<HTMLElement>(".panel");
    if (panel === null) {
      continue; // the visitor does not decide about rosters
    }
    if (p === undefined) {
      panel.replaceChildren(h("p", {}, "It is decided, or proposed anew. ", again()));
      continue;
    }
    await showProposal(at, m, p, place, panel);
  }
  if (m === undefined) {
    return; // whoever is in no roster yet agrees with the one that founds the safe, and does nothing else
  }
  for (const place of document.querySelectorAll<HTMLElement>("[data-person]")) {
    await offerSuspension(m, place);
  }
  const [keys, joining] = ["keys-panel", "joining-panel"].map((id) => document.getElementById(id));
  if (keys && founded(everyone.roster)) {
    offerKeys(m, keys);
  }
  if (joining && founded(everyone.roster)) {
    await offerJoining(m, joining);
  }
}

// The version of the roster that was in force when the page was drawn.
function known(): number {
  return Number(byId("roster").dataset.version);
}

async function showProposal(at: Place, m: Member | undefined, p: Proposal, place: HTMLElement, panel: HTMLElement): Promise<void> {
  const e = at.everyone;
  const words = wordsOf(await sha256(p.bytes));
  const lifted = e.suspensions.filter((s) => p.next.lifted?.includes(s.entry));
  const lines = [...(await changes(e.roster, p.next)), ...lifted.map((s) => `ledger entry ${s.entry} suspends ${s.person}, as the safe says`)];
  place.querySelector(".list")?.replaceChildren(...lines.map((line) => h("li", {}, h("bdi", {}, line))));
  place.querySelector(".words")?.replaceChildren(words);

  const objected = p.objected.includes(e.me);
  const voter = founded(e.roster) ? e.self : personOf(p.next, e.me);
  const parts: HTMLElement[] = [];
  try {
    const own = await mayAgree(e, p);
    if (objected) {
      parts.push(h("p", {}, "You have objected. A keykeeper and an operator without you can agree anew."));
    } else if (p.agreed.includes(e.me)) {
      parts.push(h("p", {}, "You have agreed."));
    } else if (voter !== undefined) {
      parts.push(agreeForm(at, p, voter, own));
    }
  } catch (error) {
    const why = h("p", {});
    showError(why, error);
    parts.push(why);
  }
  if (m !== undefined && (!objected || p.papers)) {
    parts.push(objectForm(m, p));
  }
  panel.replaceChildren(...parts);
}

// What to do about a proposal that nobody should agree with.
const objectToIt = "Object, and tell the others.";

// Sees to what a terminal sees to before it asks: that the version can follow,
// that new role keys come from those whose role it is, and that the person
// stands in it as they have enrolled. Returns the words of that enrolment, if
// the person's keys are new.
async function mayAgree(e: Everyone, p: Proposal): Promise<string> {
  const isFounded = founded(e.roster);
  const reason = (await unfit(e.roster, e.bytes, p.next)) || unfounded(e.roster, p.next, e.enrolments.map((x) => x.enrolment));
  if (reason !== "") {
    throw new Trouble(`This version cannot follow: ${reason}.`, objectToIt);
  }
  const voters = isFounded ? e.roster : p.next;
  const roles = p.agreed.flatMap((name) => personOf(voters, name)?.roles ?? []);
  if (!renewed(e.roster, p.next).every((role) => roles.includes(role) || (role === "keykeeper" && !isFounded))) {
    throw new Trouble(
      "It begins a role key that nobody of that role has proposed: whoever made it knows it. If somebody has objected since it was proposed, whoever made the key proposes it anew.",
      objectToIt,
    );
  }
  const self = personOf(p.next, e.me);
  if (self === undefined || (e.self !== undefined && sameKeys(e.self, self))) {
    return "";
  }
  const own = e.enrolments.find((x) => x.enrolment.person.name === e.me && standsAs(p.next, x.enrolment.person));
  if (own === undefined) {
    throw new Trouble("You do not stand in it as you have enrolled: these may be the keys of somebody else.", objectToIt);
  }
  const { outer, outer_copy } = own.enrolment;
  const last = current(p.next);
  const copy = last.outer_copies?.find((c) => c.person === e.me);
  if (!isFounded && outer_copy !== undefined && (copy?.sealed !== outer_copy || (outer !== undefined && outer !== last.outer))) {
    throw new Trouble("It does not have the outer key that you have made or brought.", objectToIt);
  }
  return wordsOf(await sha256(own.bytes));
}

function sameKeys(a: Person, b: Person): boolean {
  return a.key === b.key && keysOf(a).join() === keysOf(b).join();
}

function agreeForm(at: Place, p: Proposal, voter: Person, own: string): HTMLElement {
  const e = at.everyone;
  const id = p.digest.slice(0, 8);
  const compared = h("input", { id: `compared-${id}`, type: "checkbox", required: true });
  const others = p.papers || p.by === e.me ? "another person of the safe" : p.by;
  const button = action("Agree with your passkey", status, async () => {
    if (!compared.reportValidity()) {
      return;
    }
    const signer = signerOf(e.store, voter, (founded(e.roster) ? e.roster.domain : p.next.domain) ?? "", suspendedKeys(e, e.me));
    await safe.post("/v1/roster/agree", { signed: await signAct(signer, agree({ n: p.next.n, digest: p.digest, after: p.after })) });
    await ended(at, `You have agreed with version ${p.next.n}.`, await comesIntoForce(p));
  }, { class: "first", id: `agree-${id}` });
  return h(
    "div",
    {},
    ...lacks(p.next).map((line) => h("p", {}, h("span", { class: "note" }, "Note: "), `in this version, ${line}.`)),
    ...(own === "" ? [] : [h("p", {}, "You stand in it with the keys of your enrolment whose words are ", h("span", { class: "words" }, own), ". They are the ones that you were shown when you enrolled.")]),
    h("p", {}, "Call ", h("bdi", {}, others), ", whose voice you know, and have these eight words read to you. Who has put other keys in has other words."),
    h("p", {}, h("label", { for: compared.id, class: "check" }, compared, h("span", {}, "I have heard all eight words from ", h("bdi", {}, others), ", by voice"))),
    h("p", { class: "actions" }, button),
  );
}

// Tells when a version comes into force that was just agreed with. That it was
// agreed with stands, whatever is answered now.
async function comesIntoForce(p: Proposal): Promise<string> {
  try {
    const e = await askEveryone(safe, known());
    if ((await digestOf(e.bytes)) === p.digest) {
      return "It is in force.";
    }
    const ready = e.proposals.find((other) => other.digest === p.digest)?.ready;
    return ready === undefined ? "It waits for others to agree." : `It comes into force on ${when(ready)}, unless somebody objects.`;
  } catch {
    return "";
  }
}

function objectForm(m: Member, p: Proposal): HTMLElement {
  const id = p.digest.slice(0, 8);
  const reason = reasonField(`objection-${id}`);
  const button = action("Object with your passkey", status, async () => {
    if (!reason.reportValidity()) {
      return;
    }
    await safe.post("/v1/roster/object", { signed: await signs(m, object({ n: p.next.n, digest: p.digest, reason: reason.value.trim() })) });
    await ended(m, `You have objected to version ${p.next.n}.`, "What was agreed on it counts no more.");
  }, { id: `object-${id}` });
  return h(
    "details",
    {},
    h("summary", {}, "Object"),
    h("p", {}, "You did not expect it, or something in it is wrong. What was agreed on it counts no more; a keykeeper and an operator without you can agree anew."),
    field("Why you object", reason, everybodyReads),
    h("p", { class: "actions" }, button),
  );
}

async function offerSuspension(m: Member, place: HTMLElement): Promise<void> {
  const e = m.everyone;
  const person = personOf(e.roster, place.dataset.person ?? "");
  const facts = place.querySelector("dl");
  if (person === undefined || facts === null || e.suspensions.some((s) => s.person === person.name && s.key === undefined)) {
    return;
  }
  const name = person.name;
  const which = h("select", { id: `suspend-what-${name}` }, h("option", { value: "" }, `${name}, with all keys`));
  const suspended = suspendedKeys(e, name);
  for (const key of keysOf(person).filter((key) => !suspended.includes(key))) {
    which.append(h("option", { value: key }, `the ${kindOf(person, key)} ${await fingerprint(key)}`));
  }
  const reason = reasonField(`suspend-why-${name}`);
  const details = h(
    "details",
    {},
    h("summary", {}, `Suspend ${name}`),
    h("p", {}, "At once: a lost device, or somebody who has left. Their openings close, and their agreements count no more. It lasts until a version of the roster lifts it, which two people agree on."),
    field("What is suspended", which),
    field("Why", reason, everybodyReads),
    h(
      "p",
      { class: "actions" },
      action(`Suspend ${name} with your passkey`, status, async () => {
        if (!reason.reportValidity()) {
          return;
        }
        const act = suspend({ person: name, ...(which.value === "" ? {} : { key: which.value }), reason: reason.value.trim() });
        await safe.post("/v1/people/suspend", { signed: await signs(m, act) });
        await ended(m, which.value === "" ? `${name} is suspended.` : `This key of ${name} is suspended.`);
      }, { id: `suspend-${name}` }),
    ),
  );
  facts.append(h("div", {}, h("dt", {}, "In danger"), h("dd", {}, details)));
}

function kindOf(p: Person, key: string): string {
  const passkey: Passkey | undefined = p.passkeys?.find((k) => k.key === key);
  return passkey === undefined ? "SSH key" : passkey.use === "release" ? "passkey for releases" : "passkey to sign in";
}

start().catch((error: unknown) => {
  if (error instanceof Problem && error.status === 401) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    return;
  }
  showError(status, error);
});
