// The release page, as a part of the page of an opening, or by itself on
// another host than the safe's: there the section has the safe's address as
// data-safe, and the address of the page ends in # and the opening's id.
//
// One touch signs the release and unwraps one key. That is the outer key of the
// period that the newest run is of, if the keyring has it; otherwise the
// personal key, which opens the person's copies of all periods. Older periods
// take one touch more each.

import { signAct, type Signer, signerOf } from "./acting.ts";
import { Problem, Safe } from "./api.ts";
import { type Bytes, fromBase64, fromBase64url, sha256, toBase64, toHex, utf8 } from "./base64.ts";
import { action, byId, field, h, showError } from "./dom.ts";
import { openCopy, PrivateKey, unwrap, unwrapAndSign, wrap } from "./keys.ts";
import { encodeKeyring, type Keyring, parseKeyring, passkeyOf } from "./keyring.ts";
import { Opener } from "./opener.ts";
import { type Disclosed, review, type Review, timeOfRun } from "./review.ts";
import { type Period, personOf, readRoster } from "./roster.ts";
import { signIn } from "./session.ts";
import { challenge, close, refuse, releaseMessage, releaseNamespace } from "./statement.ts";
import { day, when } from "./time.ts";
import { type Assertion, assertionText } from "./webauthn.ts";
import type { Envelope } from "./worker.ts";

const section = byId("release");
const safe = new Safe(section.dataset.safe ?? "");
const opening = section.dataset.opening ?? location.hash.slice(1);
const workerURL = new URL("worker.js", (document.currentScript as HTMLScriptElement).src);
const status = h("p", { id: "release-status", role: "status" });
const body = byId("release-panel");

/** The safe's answers, as far as this page reads them. */
interface SessionAnswer {
  person: string;
  store: string;
  safe: string;
  domain: string;
}
interface GrantedAnswer {
  nonce: string;
  grant: string;
  request: { statement: string; signature: string };
  snapshots: { description: string }[];
}
interface OpeningAnswer {
  state: string;
}

// Who is at the page, and with what.
interface Keeper {
  person: string;
  store: string;
  domain: string;
  recipient: string; // of the personal key; "" for who has none
  signer: Signer;
  keyring: Keyring | undefined;
  periods: Period[];
}

async function start(): Promise<void> {
  body.after(status);
  if (!/^[0-9a-f-]{36}$/.test(opening)) {
    throw new Error("The address of this page does not name an opening: use the link in the safe's mail.");
  }
  if (safe.elsewhere) {
    body.append(
      h("p", { class: "actions" }, action("Sign in with your passkey", status, async () => {
        await signIn(safe);
        const { state } = await safe.get<OpeningAnswer>(`/v1/openings/${opening}`);
        await show(state);
      }, { class: "first", id: "sign-in" })),
    );
    return;
  }
  await show(section.dataset.state ?? "");
}

async function show(state: string): Promise<void> {
  const keeper = await whoIsHere();
  if (state !== "requested" && state !== "open") {
    body.replaceChildren(h("p", {}, "This opening is over: there is nothing to do."));
    return;
  }
  const parts: HTMLElement[] = [];
  if (keeper.recipient !== "") {
    const check = action(state === "open" ? "Look at a release that prolongs it" : "Look at what would be released", status, () => showGrant(keeper, check), { class: "first", id: "look" });
    parts.push(h("p", { class: "actions" }, check));
  }
  if (state === "open" || keeper.recipient !== "") {
    parts.push(stopForm(keeper, state));
  }
  body.replaceChildren(...(parts.length > 0 ? parts : [h("p", {}, "A keykeeper releases or refuses it.")]));
}

async function whoIsHere(): Promise<Keeper> {
  const session = await safe.get<SessionAnswer>("/v1/session");
  const everyone = await safe.get<{ current: string }>("/v1/people");
  const roster = readRoster(fromBase64(everyone.current));
  const me = personOf(roster, session.person);
  if (me === undefined || roster.store !== session.store) {
    throw new Error("You are not in the safe's roster.");
  }
  const kept = me.roles.includes("keykeeper") ? await safe.get<{ keyring?: string }>("/v1/keyring") : {};
  const keyring = kept.keyring === undefined ? undefined : parseKeyring(fromBase64(kept.keyring));
  if (keyring !== undefined && (keyring.store !== session.store || keyring.person !== session.person)) {
    throw new Error("The safe hands out another person's keyring.");
  }
  const domain = roster.domain ?? "";
  return {
    person: session.person,
    store: session.store,
    domain,
    recipient: me.roles.includes("keykeeper") ? (me.key ?? "") : "",
    signer: signerOf(session.store, me, domain, []),
    keyring,
    periods: roster.periods,
  };
}

// Refusing and closing: a reason, and a touch that signs it.
function stopForm(keeper: Keeper, state: string): HTMLElement {
  const closes = state === "open";
  const reason = h("input", { id: "reason", maxlength: "1000", required: true });
  const button = action(closes ? "Close it" : "Refuse it", status, async () => {
    if (!reason.reportValidity()) {
      return;
    }
    const act = closes ? close(opening, reason.value.trim()) : refuse(opening, reason.value.trim());
    await safe.post(`/v1/openings/${opening}/${closes ? "close" : "refuse"}`, { signed: await signAct(keeper.signer, act) });
    ended(closes ? "It is closed." : "It is refused.");
  }, { id: closes ? "close" : "refuse" });
  return h("div", {}, field(closes ? "Why it is to be closed" : "Why it is refused", reason, "The team reads it, and the ledger keeps it."), h("p", { class: "actions" }, button));
}

function ended(text: string): void {
  body.replaceChildren(h("p", { id: "ended" }, h("strong", {}, text), " ", h("a", { href: safe.elsewhere ? `#${opening}` : location.pathname }, "Look at the opening")));
  status.replaceChildren();
}

// Shows what a grant says, checked, and asks for the touch.
async function showGrant(keeper: Keeper, check: HTMLButtonElement): Promise<void> {
  const keyring = keeper.keyring;
  if (keyring === undefined) {
    throw new Error("Your passkey keeps no key of this safe. Release from a terminal (strongroom opening release), or enrol anew with this device.");
  }
  const answer = await safe.post<GrantedAnswer>(`/v1/openings/${opening}/grant`);
  const grant = fromBase64(answer.grant);
  const granted = { grant, statement: utf8(answer.request.statement), descriptions: answer.snapshots.map((s) => fromBase64(s.description)) };
  const r = await review(keeper.store, opening, granted, new Date());
  if (r.grant.operator === keeper.person) {
    throw new Error("You cannot release what you asked for yourself.");
  }
  const release = action("Release with your passkey", status, async () => {
    const signed = await firstTouch(keeper, keyring, r, fromBase64url(answer.nonce), grant);
    await openAll(keeper, keyring, r, signed.keys, {
      v: 1,
      keykeeper: keeper.person,
      nonce: answer.nonce,
      grant: new TextDecoder().decode(grant),
      request: { statement: answer.request.statement, signature: answer.request.signature },
      signature: assertionText(signed.assertion),
    });
  }, { class: "first", id: "release-button" });
  check.closest("p")?.replaceWith(h("div", { id: "grant" }, ...describe(r), h("p", { class: "actions" }, release)));
  release.focus();
}

function describe(r: Review): HTMLElement[] {
  const g = r.grant;
  const fact = (name: string, ...value: (Node | string)[]) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value));
  return [
    h(
      "dl",
      { class: "facts" },
      fact("Who", h("bdi", {}, h("strong", {}, g.operator)), ", from ", g.address),
      fact("Why", "“", h("bdi", {}, g.reason), "”"),
      fact("Until", when(new Date(g.until))),
      fact("Discloses", h("ul", {}, ...r.disclosed.map((d) => h("li", {}, disclosed(d))))),
    ),
  ];
}

function disclosed(d: Disclosed): string {
  if (d.collections === 1) {
    return `${d.source}: one collection, ${day(d.from)}`;
  }
  return `${d.source}: everything that was new in ${d.collections} collections, ${day(d.from)} to ${day(d.to)}`;
}

type Keys = Map<number, PrivateKey<"outer">>; // by period

// Signs the release, and unwraps what opens its newest runs.
async function firstTouch(keeper: Keeper, keyring: Keyring, r: Review, nonce: Bytes, grant: Bytes): Promise<{ keys: Keys; assertion: Assertion }> {
  const passkey = passkeyOf(keyring, keeper.domain);
  const digest = await challenge(releaseNamespace, releaseMessage(nonce, grant));
  const newest = Math.max(...r.grant.runs.map((run) => periodOf(keeper.periods, timeOfRun(run))));
  const wrapped = keyring.periods.get(newest);
  if (wrapped !== undefined) {
    const { key, assertion } = await unwrapAndSign("outer", wrapped, passkey, outerOf(keeper, newest), digest);
    return { keys: new Map([[newest, key]]), assertion };
  }
  const { key, assertion } = await unwrapAndSign("personal", keyring.personal, passkey, keeper.recipient, digest);
  return { keys: await openCopies(keeper, key), assertion };
}

// The period whose key runs of that time are sealed to, as far as times tell:
// a roster comes into force a day after its period begins.
function periodOf(periods: Period[], at: Date): number {
  const later = periods.findIndex((p) => Date.parse(p.from) > at.getTime());
  return Math.max(1, later < 0 ? periods.length : later);
}

function outerOf(keeper: Keeper, period: number): string {
  const p = keeper.periods[period - 1];
  if (p === undefined) {
    throw new Error(`there is no period ${period}`);
  }
  return p.outer;
}

async function openCopies(keeper: Keeper, personal: PrivateKey<"personal">): Promise<Keys> {
  const keys: Keys = new Map();
  for (const [i, p] of keeper.periods.entries()) {
    const copy = p.outer_copies?.find((c) => c.person === keeper.person);
    if (copy !== undefined) {
      keys.set(i + 1, await openCopy(personal, fromBase64(copy.sealed), p.outer));
    }
  }
  if (keys.size === 0) {
    throw new Error("No copy of the outer key is sealed to you yet: a keykeeper who has it must add you once more (strongroom people add).");
  }
  return keys;
}

// Opens the outer layer of all runs, asking for older keys where they are
// needed, and sends the release.
async function openAll(keeper: Keeper, keyring: Keyring, r: Review, keys: Keys, release: Record<string, unknown>): Promise<void> {
  const total = r.grant.runs.length;
  const bar = h("progress", { id: "progress", max: String(total), value: "0", "aria-label": "Envelopes opened" });
  const count = h("p", { id: "count" });
  const progress = (n: number) => {
    bar.value = n;
    count.textContent = `${n.toLocaleString("en")} of ${total.toLocaleString("en")} envelopes opened`;
  };
  const work = h("div", { id: "work" }, bar, count);
  body.replaceChildren(work);
  const opener = new Opener(workerURL);
  try {
    const inner = new Map<string, Bytes>();
    let left = await openAvailable(opener, r, keys, inner, progress);
    while (left.length > 0) {
      await nextPeriod(keeper, keyring, keys, left, work);
      left = await openBatch(opener, left, keys, inner, progress);
    }
    count.textContent = "Sending the release.";
    await safe.post(`/v1/openings/${opening}/release`, {
      release,
      inner: r.grant.runs.map((run) => ({ run, file: toBase64(inner.get(run) as Bytes) })),
    });
  } finally {
    opener.close();
  }
  ended("It is released.");
  offerKeeping(keeper, keyring, keys, r);
}

// Fetches all envelopes, and opens what the keys that are there open. Returns
// the others.
async function openAvailable(opener: Opener, r: Review, keys: Keys, inner: Map<string, Bytes>, progress: (n: number) => void): Promise<Envelope[]> {
  const left: Envelope[] = [];
  let after = "";
  for (let next = 0; next < r.grant.runs.length; ) {
    const page = await safe.get<{ run: string; envelope: string }[]>(`/v1/openings/${opening}/envelopes${after && "?after=" + after}`);
    if (page.length === 0) {
      throw new Error(`The safe hands out ${next} envelopes, and the grant is for ${r.grant.runs.length}.`);
    }
    const batch: Envelope[] = [];
    for (const e of page) {
      batch.push(await checked(r, r.grant.runs[next++], e));
    }
    left.push(...(await openBatch(opener, batch, keys, inner, progress)));
    after = batch[batch.length - 1]?.run ?? "";
  }
  return left;
}

// An envelope must be the next of the grant, and the one whose digest the
// snapshot's description has.
async function checked(r: Review, run: string | undefined, e: { run: string; envelope: string }): Promise<Envelope> {
  const want = run === undefined ? undefined : r.runs.get(run);
  if (run === undefined || want === undefined || e.run !== run) {
    throw new Error(`The safe hands out the envelope of run ${e.run}, which is not the next one of the grant.`);
  }
  const envelope = fromBase64(e.envelope);
  if (toHex(await sha256(envelope)) !== want.envelope) {
    throw new Error(`The envelope of run ${run} is not the one that the snapshot's description names.`);
  }
  return { store: r.grant.store, run, source: want.source, envelope };
}

async function openBatch(opener: Opener, batch: Envelope[], keys: Keys, inner: Map<string, Bytes>, progress: (n: number) => void): Promise<Envelope[]> {
  const before = inner.size;
  opener.useKeys([...keys].sort(([a], [b]) => b - a).map(([, key]) => key)); // the newest period first
  const opened = await opener.open(batch, (done) => progress(before + done));
  const left = batch.filter((e, i) => {
    const file = opened[i];
    if (file) {
      inner.set(e.run, file);
    }
    return !file;
  });
  progress(inner.size);
  return left;
}

// Has the person unwrap one key more: of the period that the first of what is
// left seems to be of, or else of any.
async function nextPeriod(keeper: Keeper, keyring: Keyring, keys: Keys, left: Envelope[], work: HTMLElement): Promise<void> {
  const guess = periodOf(keeper.periods, timeOfRun(left[0]?.run ?? ""));
  const all = keeper.periods.map((_, i) => i + 1);
  const near = all.filter((n) => !keys.has(n)).sort((a, b) => Math.abs(a - guess) - Math.abs(b - guess) || a - b);
  const period = near.find((n) => keyring.periods.has(n));
  const passkey = passkeyOf(keyring, keeper.domain);
  const personal = near.find((n) => keeper.periods[n - 1]?.outer_copies?.some((c) => c.person === keeper.person));
  if (period === undefined && personal === undefined) {
    throw new Error(`The envelope of run ${left[0]?.run} opens with none of your keys.`);
  }
  await new Promise<void>((resolve) => {
    const again = action("Touch your passkey once more", status, async () => {
      if (period !== undefined) {
        keys.set(period, await unwrap("outer", keyring.periods.get(period) as Bytes, passkey, outerOf(keeper, period)));
      } else {
        const key = await unwrap("personal", keyring.personal, passkey, keeper.recipient);
        for (const [n, outer] of await openCopies(keeper, key)) {
          keys.set(n, outer);
        }
      }
      more.remove();
      resolve();
    }, { class: "first", id: "again" });
    const more = h("div", {}, h("p", {}, `${left.length.toLocaleString("en")} envelopes are of an older period.`), h("p", { class: "actions" }, again));
    work.append(more);
    again.focus();
  });
}

// Wraps the key of the newest period that was opened by a copy under the
// passkey by itself, so that next time nothing else is unwrapped for it.
function offerKeeping(keeper: Keeper, keyring: Keyring, keys: Keys, r: Review): void {
  const used = Math.max(...r.grant.runs.map((run) => periodOf(keeper.periods, timeOfRun(run))));
  const key = keys.get(used);
  if (key === undefined || keyring.periods.has(used)) {
    return;
  }
  const keep = action("Put it under your passkey", status, async () => {
    const now = new Date();
    const sealed = await wrap(key, passkeyOf(keyring, keeper.domain), now);
    const next: Keyring = { ...keyring, time: now, periods: new Map([...keyring.periods, [used, sealed]]) };
    await safe.post("/v1/keyring", { keyring: toBase64(encodeKeyring(next)) });
    offer.replaceChildren(h("p", {}, "Done."));
  }, { id: "keep" });
  const offer = h(
    "div",
    {},
    h("p", {}, `The key of period ${used} is new to your passkey. With one touch more it is kept for itself, and a release of this period no longer needs your personal key.`),
    h("p", { class: "actions" }, keep),
  );
  body.append(offer);
}

start().catch((error: unknown) => {
  if (error instanceof Problem && error.status === 401 && !safe.elsewhere) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    return;
  }
  showError(status, error);
});
