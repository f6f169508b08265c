import {
  wordsOf
} from "./shared-IXCAECCJ.js";
import {
  keepUnderPasskey,
  openCopies,
  when
} from "./shared-WJDCFCOA.js";
import {
  askKeyring,
  passkeyOf
} from "./shared-J55N52WJ.js";
import {
  askEveryone,
  suspendedKeys
} from "./shared-GUHBJKB6.js";
import {
  again,
  current,
  ended,
  fingerprint,
  founded,
  keysOf,
  personOf,
  readRoster,
  redraw,
  renewed,
  signAct,
  signerOf,
  standsAs,
  unfit,
  unfounded
} from "./shared-JMBBHRIC.js";
import {
  Problem,
  Safe,
  Trouble,
  action,
  byId,
  everybodyReads,
  field,
  h,
  reasonField,
  showError
} from "./shared-CXLUVPZO.js";
import {
  PrivateKey,
  answerOuterProof,
  sealCopy,
  unwrap
} from "./shared-F6GVJO2D.js";
import {
  agree,
  fromBase64,
  object,
  sha256,
  spell,
  spellTime,
  suspend,
  toBase64,
  toHex
} from "./shared-JFX4GKKW.js";

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
    const former = r.domain === void 0 ? "" : `, did to ${quote(r.domain)}`;
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
function quote(text = "") {
  return JSON.stringify(text);
}
async function describe(p) {
  let s = p.name;
  if (p.full_name !== void 0) {
    s += ` (${quote(p.full_name)})`;
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
  const add2 = (was, is, line) => {
    if (JSON.stringify(was) !== JSON.stringify(is)) {
      lines.push(line);
    }
  };
  add2(old.full_name, p.full_name, `${p.name} is called ${quote(p.full_name)}, was ${quote(old.full_name)}`);
  add2(old.roles, p.roles, `${p.name} becomes ${roles(p)}, was ${roles(old)}`);
  add2(old.key, p.key, `replaces the personal key of ${p.name}`);
  add2(old.ssh, p.ssh, `${p.name} signs with the SSH key ${await sshKeys(p)}, did with ${await sshKeys(old)}`);
  add2(old.passkeys, p.passkeys, `${p.name} has ${await passkeys(p)}, had ${await passkeys(old)}`);
  add2(old.addresses, p.addresses, `${p.name} comes from ${addresses(p)}, did from ${addresses(old)}`);
  add2(old.mail, p.mail, `mails for ${p.name} go to ${quote(p.mail)}, did to ${quote(old.mail)}`);
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

// compose.ts
function encodeRoster(r) {
  const fields = { v: r.v, store: r.store, n: r.n };
  if (r.previous !== void 0) {
    fields.previous = r.previous;
  }
  fields.ledger_keys = r.ledger_keys;
  fields.periods = r.periods.map(periodFields);
  for (const name of ["people", "gate", "domain", "lifted"]) {
    const value = r[name];
    if (value !== void 0 && value.length > 0) {
      fields[name] = value;
    }
  }
  return spell(fields);
}
function periodFields(p) {
  const fields = { from: p.from, outer: p.outer, inner: p.inner };
  for (const name of ["outer_copies", "inner_copies"]) {
    const copies = p[name];
    if (copies !== void 0 && copies.length > 0) {
      fields[name] = copies.map((c) => ({ person: c.person, sealed: c.sealed }));
    }
  }
  return fields;
}
function nextOf(r, digest) {
  return { ...structuredClone(r), n: r.n + 1, previous: digest };
}
async function add(r, digest, enrolments, keys, suspensions, now) {
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
    if (old !== void 0 && replaces(old, p)) {
      lift(next, suspensions.flatMap((s) => s.person === p.name && s.key === void 0 ? [s.entry] : []));
    }
  }
  for (const [n, key] of keys) {
    await share(next, next.periods[n - 1], key, now);
  }
  return next;
}
function replaces(old, p) {
  const before = keysOf(old);
  return before.length > 0 && !keysOf(p).some((key) => before.includes(key)) && (p.key === void 0 || p.key !== old.key);
}
function lift(r, entries) {
  r.lifted = [.../* @__PURE__ */ new Set([...r.lifted ?? [], ...entries])].sort((a, b) => a - b);
}
function hasAll(r, keys) {
  return r.periods.every((p, i) => keys.has(i + 1) || i + 1 < r.periods.length && (p.outer_copies ?? []).length === 0);
}
function join(r, { person, domain }) {
  const others = (r.people ?? []).filter((p) => p.name !== person.name);
  if (domain !== void 0 && domain !== r.domain) {
    if (r.people?.some((p) => p.passkeys !== void 0)) {
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
function byName(all, name) {
  return all.sort((a, b) => name(a) < name(b) ? -1 : 1);
}
async function share(r, period, key, made) {
  if (period?.outer !== key.recipient) {
    throw new Error("a key is not that of its period");
  }
  const copies = period.outer_copies ?? [];
  for (const p of (r.people ?? []).filter((p2) => p2.roles.includes("keykeeper") && !copies.some((c) => c.person === p2.name))) {
    copies.push({ person: p.name, sealed: toBase64(await sealCopy(key, personalKey(p), made)) });
  }
  period.outer_copies = byName(copies, (c) => c.person);
}
function personalKey(p) {
  if (p.key === void 0) {
    throw new Error(`${p.name} is a keykeeper without a personal key`);
  }
  return p.key;
}
async function renew(r, digest, now) {
  const next = nextOf(r, digest);
  const last = current(next);
  const key = await PrivateKey.generate("outer");
  const from = new Date(Math.max(now.getTime(), Date.parse(last.from) + 1e3));
  const period = { ...structuredClone(last), from: spellTime(from), outer: key.recipient, outer_copies: [] };
  next.periods.push(period);
  await share(next, period, key, now);
  return next;
}

// place.ts
async function memberAt(at, self) {
  const e = at.everyone;
  const keykeeper = self.roles.includes("keykeeper");
  return {
    ...at,
    self,
    signer: signerOf(e.store, self, e.roster.domain ?? "", suspendedKeys(e, e.me)),
    keyring: keykeeper ? await askKeyring(at.safe, e.store, e.me) : void 0
  };
}
function signs(m, act) {
  return signAct(m.signer, act);
}
async function openOuterKeys(m) {
  const { roster, me } = m.everyone;
  if (m.keyring === void 0) {
    throw new Error("Your passkey keeps no key of this safe: use a terminal, or enrol anew with this device.");
  }
  const personal = await unwrap("personal", m.keyring.personal, passkeyOf(m.keyring, roster.domain ?? ""), m.self.key ?? "");
  return openCopies(roster.periods, me, personal);
}
async function digestOf(b) {
  return toHex(await sha256(b));
}
function beside({ me }, p) {
  const others = p.agreed.filter((name) => name !== me);
  if (p.by !== me) {
    return `version ${p.next.n}, which ${p.by} has proposed, waits, too. Once one of the two is in force, the other is dropped.`;
  }
  const agreed = others.length === 0 ? "" : ` What ${others.join(" and ")} agreed on counts no more, and the wait begins anew.`;
  return `version ${p.next.n}, which you have proposed before, is dropped by this.${agreed}`;
}
async function offerProposal(m, panel, composed) {
  const bytes = encodeRoster(composed);
  const next = readRoster(bytes);
  const e = m.everyone;
  const lines = await changes(e.roster, next);
  const reason = lines.length === 0 ? "it would change nothing" : await unfit(e.roster, e.bytes, next);
  if (reason !== "") {
    throw new Error(`Such a version cannot be proposed: ${reason}.`);
  }
  const propose = action("Propose it with your passkey", m.status, async () => {
    const signed = await signs(m, agree({ n: next.n, digest: await digestOf(bytes), after: 0 }));
    await m.safe.post("/v1/roster/propose", { roster: toBase64(bytes), signed });
    await ended(m, `You have proposed version ${next.n}. Its words: ${wordsOf(await sha256(bytes))}.`, "An operator calls you, has them read by you, and agrees.");
  }, { class: "first" });
  panel.replaceChildren(
    h("p", {}, `Version ${next.n} of the roster:`),
    h("ul", { class: "list" }, ...lines.map((line) => h("li", {}, h("bdi", {}, line)))),
    ...e.proposals.map((p) => h("p", { class: "beside" }, h("span", { class: "note" }, "Note: "), beside(e, p))),
    h("p", { class: "actions" }, propose)
  );
  propose.focus();
}

// joining.ts
async function offerJoining(m, panel) {
  const { enrolments, proposals } = m.everyone;
  const waiting = enrolments.filter(({ enrolment: { person } }) => !proposals.some((p) => standsAs(p.next, person)));
  const able = waiting.filter((x) => !x.enrolment.person.roles.includes("operator"));
  if (able.length === 0) {
    panel.replaceChildren(...waiting.length === 0 ? [] : [h("p", {}, "Operators are taken in by an operator, from a terminal.")]);
    return;
  }
  const boxes = /* @__PURE__ */ new Map();
  const parts = [];
  for (const x of able) {
    const name = x.enrolment.person.name;
    const heard = h("input", { type: "checkbox", id: `heard-${name}` });
    boxes.set(heard, x);
    parts.push(
      h("p", {}, h("bdi", {}, await describe(x.enrolment.person))),
      h("p", { class: "words" }, wordsOf(await sha256(x.bytes))),
      h("p", {}, h("label", { for: heard.id, class: "check" }, heard, h("span", {}, "I have heard these eight words from ", h("bdi", {}, name), ", whose voice I know")))
    );
  }
  const button = action("Take in whose words you have heard", m.status, async () => {
    const chosen = [...boxes].flatMap(([box, x]) => box.checked ? [x.enrolment] : []);
    if (chosen.length === 0) {
      throw new Error("Call those whom you take in, and have their eight words read to you; then tick their names.");
    }
    const keys = chosen.some((x) => x.person.roles.includes("keykeeper")) ? await openOuterKeys(m) : /* @__PURE__ */ new Map();
    const { roster, bytes, suspensions } = m.everyone;
    await offerProposal(m, panel, await add(roster, await digestOf(bytes), chosen, keys, suspensions, /* @__PURE__ */ new Date()));
  }, { class: "first", id: "join" });
  panel.replaceChildren(...parts, h("p", { class: "actions" }, button));
}

// ownkeys.ts
function offerKeys(m, panel) {
  const { roster, bytes, me } = m.everyone;
  const parts = [];
  const offer = (text, label, id, run) => {
    parts.push(h("p", {}, text), h("p", { class: "actions" }, action(label, m.status, run, { id, ...parts.length === 0 ? { class: "first" } : {} })));
  };
  if (m.keyring !== void 0 && roster.periods.some((p) => p.outer_copies?.some((c) => c.person === me))) {
    offer(
      "Every 60 days: one touch shows that your keys still open what they should. They do not leave this page.",
      "Check your keys",
      "check-keys",
      () => check(m)
    );
    const without = lacking(roster, me);
    if (without.length > 0) {
      offer(`${without.join(", ")}: some copies of the outer keys are missing. One touch opens yours and seals them once more, another one proposes it.`, "Give the missing copies", "give-copies", async () => {
        await offerProposal(m, panel, await add(roster, await digestOf(bytes), [], await openOuterKeys(m), [], /* @__PURE__ */ new Date()));
      });
    }
  }
  offer(
    "Once a year, or when the outer key may have been seen: a new one, from now on. It is made here, and sealed to every keykeeper. Old snapshots stay sealed to the old keys.",
    "Begin a new period",
    "new-period",
    async () => offerProposal(m, panel, await renew(roster, await digestOf(bytes), /* @__PURE__ */ new Date()))
  );
  panel.replaceChildren(...parts);
}
function lacking(r, me) {
  const has = (p, name) => p.outer_copies?.some((c) => c.person === name);
  const others = (r.people ?? []).filter((p) => p.roles.includes("keykeeper") && r.periods.some((q) => has(q, me) && !has(q, p.name)));
  return others.map((p) => p.name);
}
async function check(m) {
  const keys = await openOuterKeys(m);
  const proven = [];
  for (const [period, key] of keys) {
    const challenge = await m.safe.post("/v1/keys/check", { role: "outer", period, paper: false });
    const nonce = await answerOuterProof(key, fromBase64(challenge.sealed));
    await m.safe.post("/v1/keys/answer", { id: challenge.id, nonce });
    proven.push(`The outer key of period ${period} is proven.`);
  }
  await ended(m, proven.join(" "));
  if (m.keyring !== void 0) {
    offerKeeping(m, m.keyring, keys, byId("keys-panel"));
  }
}
function offerKeeping(m, keyring, keys, panel) {
  const newest = m.everyone.roster.periods.length;
  const key = keys.get(newest);
  if (key === void 0 || keyring.periods.has(newest)) {
    return;
  }
  const keep = action("Put it under your passkey", m.status, async () => {
    await keepUnderPasskey(m.safe, keyring, m.everyone.roster.domain ?? "", newest, key);
    offer.replaceChildren(h("p", { id: "kept" }, `The outer key of period ${newest} is under your passkey.`));
  }, { id: "keep" });
  const offer = h(
    "div",
    {},
    h("p", {}, `The outer key of period ${newest} is new to your passkey. With one touch more it is kept by itself: a release of what is new then unwraps this key alone, not your personal one.`),
    h("p", { class: "actions" }, keep)
  );
  panel.append(offer);
}

// people.ts
var safe = new Safe();
var status = byId("people-status");
async function start() {
  const everyone = await askEveryone(safe, known());
  const self = everyone.self;
  const at = {
    safe,
    status,
    everyone,
    redraw: async () => {
      await redraw(status);
      await start();
    }
  };
  const m = self && await memberAt(at, self);
  document.querySelector("#roster dd.words")?.replaceChildren(wordsOf(await sha256(everyone.bytes)));
  for (const place of document.querySelectorAll("[data-proposal]")) {
    const p = everyone.proposals.find((p2) => p2.digest === place.dataset.proposal);
    const panel = place.querySelector(".panel");
    if (panel === null) {
      continue;
    }
    if (p === void 0) {
      panel.replaceChildren(h("p", {}, "It is decided, or proposed anew. ", again()));
      continue;
    }
    await showProposal(at, m, p, place, panel);
  }
  if (m === void 0) {
    return;
  }
  for (const place of document.querySelectorAll("[data-person]")) {
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
function known() {
  return Number(byId("roster").dataset.version);
}
async function showProposal(at, m, p, place, panel) {
  const e = at.everyone;
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
      parts.push(agreeForm(at, p, voter, own));
    }
  } catch (error) {
    const why = h("p", {});
    showError(why, error);
    parts.push(why);
  }
  if (m !== void 0 && (!objected || p.papers)) {
    parts.push(objectForm(m, p));
  }
  panel.replaceChildren(...parts);
}
var objectToIt = "Object, and tell the others.";
async function mayAgree(e, p) {
  const isFounded = founded(e.roster);
  const reason = await unfit(e.roster, e.bytes, p.next) || unfounded(e.roster, p.next, e.enrolments.map((x) => x.enrolment));
  if (reason !== "") {
    throw new Trouble(`This version cannot follow: ${reason}.`, objectToIt);
  }
  const voters = isFounded ? e.roster : p.next;
  const roles2 = p.agreed.flatMap((name) => personOf(voters, name)?.roles ?? []);
  if (!renewed(e.roster, p.next).every((role) => roles2.includes(role) || role === "keykeeper" && !isFounded)) {
    throw new Trouble(
      "It begins a role key that nobody of that role has proposed: whoever made it knows it. If somebody has objected since it was proposed, whoever made the key proposes it anew.",
      objectToIt
    );
  }
  const self = personOf(p.next, e.me);
  if (self === void 0 || e.self !== void 0 && sameKeys(e.self, self)) {
    return "";
  }
  const own = e.enrolments.find((x) => x.enrolment.person.name === e.me && standsAs(p.next, x.enrolment.person));
  if (own === void 0) {
    throw new Trouble("You do not stand in it as you have enrolled: these may be the keys of somebody else.", objectToIt);
  }
  const { outer, outer_copy } = own.enrolment;
  const last = current(p.next);
  const copy = last.outer_copies?.find((c) => c.person === e.me);
  if (!isFounded && outer_copy !== void 0 && (copy?.sealed !== outer_copy || outer !== void 0 && outer !== last.outer)) {
    throw new Trouble("It does not have the outer key that you have made or brought.", objectToIt);
  }
  return wordsOf(await sha256(own.bytes));
}
function sameKeys(a, b) {
  return a.key === b.key && keysOf(a).join() === keysOf(b).join();
}
function agreeForm(at, p, voter, own) {
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
    ...own === "" ? [] : [h("p", {}, "You stand in it with the keys of your enrolment whose words are ", h("span", { class: "words" }, own), ". They are the ones that you were shown when you enrolled.")],
    h("p", {}, "Call ", h("bdi", {}, others), ", whose voice you know, and have these eight words read to you. Who has put other keys in has other words."),
    h("p", {}, h("label", { for: compared.id, class: "check" }, compared, h("span", {}, "I have heard all eight words from ", h("bdi", {}, others), ", by voice"))),
    h("p", { class: "actions" }, button)
  );
}
async function comesIntoForce(p) {
  try {
    const e = await askEveryone(safe, known());
    if (await digestOf(e.bytes) === p.digest) {
      return "It is in force.";
    }
    const ready = e.proposals.find((other) => other.digest === p.digest)?.ready;
    return ready === void 0 ? "It waits for others to agree." : `It comes into force on ${when(ready)}, unless somebody objects.`;
  } catch {
    return "";
  }
}
function objectForm(m, p) {
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
    h("p", { class: "actions" }, button)
  );
}
async function offerSuspension(m, place) {
  const e = m.everyone;
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
        await safe.post("/v1/people/suspend", { signed: await signs(m, act) });
        await ended(m, which.value === "" ? `${name} is suspended.` : `This key of ${name} is suspended.`);
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
