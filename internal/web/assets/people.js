import {
  wordsOf
} from "./shared-IXCAECCJ.js";
import {
  current,
  fingerprint,
  founded,
  keysOf,
  personOf,
  readRoster,
  renewed,
  signAct,
  signerOf,
  standsAs,
  unfit,
  unfounded,
  when
} from "./shared-UADMTXK2.js";
import "./shared-WQHORMLH.js";
import {
  Problem,
  Safe,
  action,
  byId,
  field,
  h,
  showError
} from "./shared-CHRHC53K.js";
import {
  agree,
  fromBase64,
  object,
  read,
  sha256,
  suspend,
  toHex
} from "./shared-VD352PJE.js";

// changes.ts
async function changes(r, next) {
  const lines = [];
  for (const p of next.people ?? []) {
    const old = personOf(r, p.name);
    lines.push(...old === void 0 ? ["adds " + await describe(p)] : await personChanges(old, p));
  }
  for (const p of r.people ?? []) {
    if (personOf(next, p.name) === void 0) {
      lines.push(`removes ${p.name}, ${roles(p)}`);
    }
  }
  if (r.gate !== next.gate) {
    lines.push(`gives the gate the host key ${next.gate === void 0 ? "none" : await fingerprint(next.gate)}`);
  }
  if (r.domain !== next.domain) {
    lines.push(`binds passkeys to the domain ${quote(next.domain)}, did to ${quote(r.domain)}`);
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
function quote(text = "") {
  return JSON.stringify(text);
}
async function describe(p) {
  let s = p.name;
  if (p.full_name !== void 0) {
    s += ` (${p.full_name})`;
  }
  s += `, ${roles(p)}`;
  if (p.ssh !== void 0) {
    s += `, SSH key ${await sshKeys(p)}`;
  }
  if (p.passkeys !== void 0) {
    s += `, ${await passkeys(p)}`;
  }
  if (p.addresses !== void 0) {
    s += `, from ${addresses(p)}`;
  }
  if (p.mail !== void 0) {
    s += `, mail to ${p.mail}`;
  }
  return s;
}
function roles(p) {
  return p.roles.join(" and ");
}
async function sshKeys(p) {
  return (await Promise.all((p.ssh ?? []).map(fingerprint))).join(" and ") || "none";
}
async function passkeys(p) {
  return (await Promise.all((p.passkeys ?? []).map(passkey))).join(" and ") || "no passkey";
}
async function passkey(k) {
  return `passkey ${k.use === "release" ? "for releases" : "to sign in"} ${await fingerprint(k.key)}${k.synced ? " (synced)" : ""}`;
}
function addresses(p) {
  return (p.addresses ?? []).join(" or ") || "nowhere";
}
async function personChanges(old, p) {
  const lines = [];
  const add = (was, is, line) => {
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
function periodChanges(r, next) {
  const lines = [];
  for (const [i, period] of next.periods.entries()) {
    let outer = r.periods[i]?.outer_copies;
    let inner = r.periods[i]?.inner_copies;
    if (i >= r.periods.length) {
      const last = current(r);
      const fresh = [];
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
function copyChanges(next, key, period, old = [], now = []) {
  const lines = [];
  for (const c of now) {
    const before = old.find((o) => o.person === c.person);
    if (before === void 0) {
      lines.push(`gives ${c.person} a copy of the ${key} key of period ${period}`);
    } else if (before.sealed !== c.sealed) {
      lines.push(`replaces the copy of the ${key} key of period ${period} that ${c.person} has`);
    }
  }
  for (const c of old) {
    if (personOf(next, c.person) !== void 0 && !now.some((n) => n.person === c.person)) {
      lines.push(`takes the copy of the ${key} key of period ${period} from ${c.person}`);
    }
  }
  return lines;
}
function lacks(r) {
  const people = r.people ?? [];
  const lines = [];
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
function lacksCopies(people, role, key, period, copies = []) {
  if (copies.length === 0) {
    return [`nobody has a copy of the ${key} key of period ${period}: what was sealed to it opens with that key's own file or page`];
  }
  const without = people.filter((p) => p.roles.includes(role) && !copies.some((c) => c.person === p.name));
  return without.map((p) => `${p.name} has no copy of the ${key} key of period ${period}`);
}

// everyone.ts
async function askEveryone(safe2, known2) {
  const session = await safe2.get("/v1/session");
  const answer = await safe2.get(`/v1/people?after=${known2}`);
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

// people.ts
var safe = new Safe();
var status = byId("people-status");
var known = Number(byId("roster").dataset.version);
async function start() {
  const e = await askEveryone(safe, known);
  for (const place of document.querySelectorAll("[data-proposal]")) {
    const p = e.proposals.find((p2) => p2.digest === place.dataset.proposal);
    const panel = place.querySelector(".panel");
    if (panel === null) {
      continue;
    }
    if (p === void 0) {
      panel.replaceChildren(h("p", {}, "It is decided, or proposed anew. ", again()));
      continue;
    }
    await showProposal(e, p, place, panel);
  }
  if (e.self !== void 0) {
    const signer = signerOf(e.store, e.self, e.roster.domain ?? "", suspendedKeys(e, e.me));
    for (const place of document.querySelectorAll("[data-person]")) {
      await offerSuspension(e, signer, place);
    }
  }
}
function again() {
  return h("a", { href: location.pathname }, "Look at it anew");
}
function ended(panel, text, ...more) {
  panel.replaceChildren(h("p", { class: "ended" }, h("strong", {}, text), " ", ...more, " ", again()));
}
async function showProposal(e, p, place, panel) {
  const words = wordsOf(await sha256(p.bytes));
  const lifted = e.suspensions.filter((s) => p.next.lifted?.includes(s.entry));
  const lines = [...await changes(e.roster, p.next), ...lifted.map((s) => `ledger entry ${s.entry} suspends ${s.person}, as the safe says`)];
  place.querySelector(".list")?.replaceChildren(...lines.map((line) => h("li", {}, h("bdi", {}, line))));
  place.querySelector(".words")?.replaceChildren(words);
  const objected = p.objected.includes(e.me);
  const voter = founded(e.roster) ? e.self : personOf(p.next, e.me);
  const parts = [];
  try {
    const own = await mayAgree(e, p);
    if (objected) {
      parts.push(h("p", {}, "You have objected. A keykeeper and an operator without you can agree anew."));
    } else if (p.agreed.includes(e.me)) {
      parts.push(h("p", {}, "You have agreed."));
    } else if (voter !== void 0) {
      parts.push(agreeForm(e, p, voter, panel, own));
    }
  } catch (error) {
    const why = h("p", {});
    showError(why, error);
    parts.push(why);
  }
  if (e.self !== void 0 && (!objected || p.papers)) {
    parts.push(objectForm(e, p, e.self, panel));
  }
  panel.replaceChildren(...parts);
}
var ProposalError = class extends Error {
  remedy = "Object, and tell the others.";
};
async function mayAgree(e, p) {
  const isFounded = founded(e.roster);
  const reason = await unfit(e.roster, e.bytes, p.next) || unfounded(e.roster, p.next, e.enrolments.map((x) => x.enrolment));
  if (reason !== "") {
    throw new ProposalError(`This version cannot follow: ${reason}.`);
  }
  const voters = isFounded ? e.roster : p.next;
  const roles2 = p.agreed.flatMap((name) => personOf(voters, name)?.roles ?? []);
  if (!renewed(e.roster, p.next).every((role) => roles2.includes(role) || role === "keykeeper" && !isFounded)) {
    throw new ProposalError(
      "It begins a role key that nobody of that role has proposed: whoever made it knows it. If somebody has objected since it was proposed, whoever made the key proposes it anew."
    );
  }
  const self = personOf(p.next, e.me);
  if (self === void 0 || e.self !== void 0 && sameKeys(e.self, self)) {
    return "";
  }
  const own = e.enrolments.find((x) => x.enrolment.person.name === e.me && standsAs(p.next, x.enrolment.person));
  if (own === void 0) {
    throw new ProposalError("You do not stand in it as you have enrolled: these may be the keys of somebody else.");
  }
  const { outer, outer_copy } = own.enrolment;
  const last = current(p.next);
  const copy = last.outer_copies?.find((c) => c.person === e.me);
  if (!isFounded && outer_copy !== void 0 && (copy?.sealed !== outer_copy || outer !== void 0 && outer !== last.outer)) {
    throw new ProposalError("It does not have the outer key that you have made or brought.");
  }
  return wordsOf(await sha256(own.bytes));
}
function sameKeys(a, b) {
  return a.key === b.key && keysOf(a).join() === keysOf(b).join();
}
function agreeForm(e, p, voter, panel, own) {
  const id = p.digest.slice(0, 8);
  const compared = h("input", { id: `compared-${id}`, type: "checkbox", required: true });
  const others = p.papers ? "another person of the safe" : p.by;
  const button = action("Agree with your passkey", status, async () => {
    if (!compared.reportValidity()) {
      return;
    }
    const signer = signerOf(e.store, voter, (founded(e.roster) ? e.roster.domain : p.next.domain) ?? "", suspendedKeys(e, e.me));
    await safe.post("/v1/roster/agree", { signed: await signAct(signer, agree({ n: p.next.n, digest: p.digest, after: p.after })) });
    ended(panel, `You have agreed with version ${p.next.n}.`, await comesIntoForce(p));
  }, { class: "first", id: `agree-${id}` });
  return h(
    "div",
    {},
    ...lacks(p.next).map((line) => h("p", {}, h("span", { class: "note" }, "Note: "), `in this version, ${line}.`)),
    ...own === "" ? [] : [h("p", {}, "You stand in it with the keys of your enrolment whose words are ", h("span", { class: "words" }, own), ". They are the ones that you were shown when you enrolled.")],
    h("p", {}, "Call ", h("bdi", {}, others), ", whose voice you know, and have these eight words read to you. Who has put other keys in has other words."),
    h("p", {}, h("label", { for: compared.id, class: "check" }, compared, h("span", {}, "I have heard all eight words from ", h("bdi", {}, others), ", by voice"))),
    h("p", { class: "actions" }, button)
  );
}
async function comesIntoForce(p) {
  try {
    const e = await askEveryone(safe, known);
    if (toHex(await sha256(e.bytes)) === p.digest) {
      return "It is in force.";
    }
    const ready = e.proposals.find((other) => other.digest === p.digest)?.ready;
    return ready === void 0 ? "It waits for others to agree." : `It comes into force on ${when(ready)}, unless somebody objects.`;
  } catch {
    return "";
  }
}
function objectForm(e, p, self, panel) {
  const id = p.digest.slice(0, 8);
  const reason = reasonField(`objection-${id}`);
  const button = action("Object with your passkey", status, async () => {
    if (!reason.reportValidity()) {
      return;
    }
    const signer = signerOf(e.store, self, e.roster.domain ?? "", suspendedKeys(e, e.me));
    await safe.post("/v1/roster/object", { signed: await signAct(signer, object({ n: p.next.n, digest: p.digest, reason: reason.value.trim() })) });
    ended(panel, `You have objected to version ${p.next.n}.`, "What was agreed on it counts no more.");
  }, { id: `object-${id}` });
  return h(
    "details",
    {},
    h("summary", {}, "Object"),
    h("p", {}, "You did not expect it, or something in it is wrong. What was agreed on it counts no more; a keykeeper and an operator without you can agree anew."),
    field("Why you object", reason, everybodyReads),
    h("p", { class: "actions" }, button)
  );
}
var everybodyReads = "It stands in the ledger, and in mails to everybody.";
function reasonField(id) {
  return h("input", { id, maxlength: "1000", required: true, autocomplete: "off", pattern: ".*\\S.*" });
}
async function offerSuspension(e, signer, place) {
  const person = personOf(e.roster, place.dataset.person ?? "");
  const facts = place.querySelector("dl");
  if (person === void 0 || facts === null || e.suspensions.some((s) => s.person === person.name && s.key === void 0)) {
    return;
  }
  const name = person.name;
  const which = h("select", { id: `suspend-what-${name}` }, h("option", { value: "" }, `${name}, with all keys`));
  const suspended = suspendedKeys(e, name);
  for (const key of keysOf(person).filter((key2) => !suspended.includes(key2))) {
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
        const act = suspend({ person: name, ...which.value === "" ? {} : { key: which.value }, reason: reason.value.trim() });
        await safe.post("/v1/people/suspend", { signed: await signAct(signer, act) });
        ended(details.parentElement, which.value === "" ? `${name} is suspended.` : `This key of ${name} is suspended.`);
      }, { id: `suspend-${name}` })
    )
  );
  facts.append(h("div", {}, h("dt", {}, "In danger"), h("dd", {}, details)));
}
function kindOf(p, key) {
  const passkey2 = p.passkeys?.find((k) => k.key === key);
  return passkey2 === void 0 ? "SSH key" : passkey2.use === "release" ? "passkey for releases" : "passkey to sign in";
}
start().catch((error) => {
  if (error instanceof Problem && error.status === 401) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    return;
  }
  showError(status, error);
});
