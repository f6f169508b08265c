// The release page, as a part of the page of an opening, or by itself on
// another host than the safe's, where it knows its safe by what is pinned in it
// (pin.ts), and the address of the page may end in #opening= and an id.
//
// Nothing is unwrapped before the person was shown what is released, and with
// which of their keys.

import { signAct } from "./acting.ts";
import { Problem, Safe } from "./api.ts";
import { type Bytes, fromBase64, fromBase64url, sha256, toBase64, toHex, utf8 } from "./base64.ts";
import { keepUnderPasskey } from "./copies.ts";
import { action, byId, field, h, showError } from "./dom.ts";
import type { Keyring } from "./keyring.ts";
import { type Keeper, periodAt, periodsOf, Ring, whoIsHere, WrappedError } from "./keeper.ts";
import { Opener } from "./opener.ts";
import { pinOf } from "./pin.ts";
import { redraw } from "./redraw.ts";
import { type Disclosed, review, type Review, timeOfRun } from "./review.ts";
import { personOf } from "./roster.ts";
import { signIn } from "./session.ts";
import { verify } from "./sshsig.ts";
import { actNamespace, challenge, close, refuse, releaseMessage, releaseNamespace } from "./statement.ts";
import { day, when } from "./time.ts";
import { reasonOf, tellColleagues, Trouble } from "./trouble.ts";
import { type Assertion, assertionText } from "./webauthn.ts";
import type { Envelope } from "./worker.ts";

const section = byId("release");
const body = byId("release-panel");
const status = h("p", { id: "release-status", role: "status" });
const workerURL = new URL("worker.js", import.meta.url);

/** The safe's answers, as far as this page reads them. */
interface GrantedAnswer {
  nonce: string;
  grant: string;
  request: { statement: string; signature: string };
  snapshots: { description: string }[];
}
interface OpeningAnswer {
  id: string;
  state: string;
  request: { statement: string };
}

// What the page is at: one opening, for one person.
interface Task {
  safe: Safe;
  keeper: Keeper;
  opening: string;
  state: string;
  back: () => Node; // leads on when it is done
  asked?: OpeningAnswer; // to be shown, where nothing else on the page does
}

async function start(): Promise<void> {
  body.after(status);
  const pin = pinOf(section);
  const safe = new Safe(pin?.safe);
  if (pin === undefined) {
    const { opening = "", state = "" } = section.dataset;
    show({ safe, keeper: await whoIsHere(safe), opening, state, back: () => h("a", { href: location.pathname }, "Look at the opening") });
    return;
  }
  // The safe's own page has a header against that, another web server may lack it.
  if (self !== top) {
    throw new Trouble("This page is shown within another one, which could have you press what you do not see.", "Open it in a window of its own.");
  }
  const asked = openingIn(location.hash);
  addEventListener("hashchange", () => location.reload()); // with another link: nothing of the one before stays
  const enter = action("Sign in with your passkey", status, async () => {
    const passkey = await signIn(safe, pin);
    const keeper = await whoIsHere(safe, { pin, passkey });
    if (asked === "") {
      await list(safe, keeper);
    } else {
      await look(safe, keeper, asked);
    }
  }, { class: "first", id: "sign-in" });
  body.replaceChildren(h("p", { class: "actions" }, enter));
}

// The opening that a link to this page names, "" if it names none.
function openingIn(hash: string): string {
  if (hash === "" || hash === "#") {
    return "";
  }
  const id = /^#opening=([0-9a-f-]{36})$/.exec(hash)?.[1];
  if (id === undefined) {
    throw new Trouble("The address of this page does not name an opening.", "It ends in #opening= and the id of one, which the safe's mail has, or in nothing: then you see those that wait.");
  }
  return id;
}

// The openings that somebody can do something about.
async function list(safe: Safe, keeper: Keeper): Promise<void> {
  const all = (await safe.get<OpeningAnswer[] | null>("/v1/openings")) ?? [];
  const pending = all.filter((o) => o.state === "requested" || o.state === "open");
  const items = pending.map((o) => {
    const go = action(o.state === "open" ? "Close or prolong" : "Release or refuse", status, () => look(safe, keeper, o.id), { "data-opening": o.id });
    return h("li", {}, whoAsks(o), h("p", { class: "actions" }, go));
  });
  body.replaceChildren(
    h("p", {}, "You are ", h("bdi", {}, h("strong", {}, keeper.person)), items.length > 0 ? ". These openings wait for somebody:" : ". No opening waits for anybody."),
    h("ul", { id: "openings" }, ...items),
    h("p", { class: "actions" }, action("Look again", status, () => list(safe, keeper), { id: "look-again" })),
  );
}

function whoAsks(o: OpeningAnswer): HTMLElement {
  const q = JSON.parse(o.request.statement) as { person: string; time: string; what: { reason: string } };
  const who = o.state === "open" ? " can read, since a request of " : o.state === "requested" ? " asks, on " : " asked, on ";
  return h("p", {}, h("bdi", {}, h("strong", {}, q.person)), who, when(new Date(q.time)), ": “", h("bdi", {}, q.what.reason), "”");
}

async function look(safe: Safe, keeper: Keeper, opening: string): Promise<void> {
  const asked = await safe.get<OpeningAnswer>(`/v1/openings/${opening}`);
  show({ safe, keeper, opening, state: asked.state, asked, back: () => action("Look at what else waits", status, () => list(safe, keeper), { id: "back" }) });
}

function show(task: Task): void {
  const { keeper, state, asked } = task;
  const first = asked === undefined ? [] : [whoAsks(asked)];
  if (state !== "requested" && state !== "open") {
    body.replaceChildren(...first, h("p", {}, "This opening is over: there is nothing to do."), h("p", { class: "actions" }, task.back()));
    return;
  }
  const parts: HTMLElement[] = [];
  if (keeper.recipient !== "") {
    const check = action(state === "open" ? "Look at a release that prolongs it" : "Look at what would be released", status, () => showGrant(task, check), { class: "first", id: "look" });
    parts.push(h("p", { class: "actions" }, check));
  }
  if (state === "open" || keeper.recipient !== "") {
    parts.push(stopForm(task));
  }
  const last = asked === undefined ? [] : [h("p", { class: "actions" }, task.back())];
  body.replaceChildren(...first, ...(parts.length > 0 ? parts : [h("p", {}, "A keykeeper releases or refuses it.")]), ...last);
}

// Refusing and closing: a reason, and a touch that signs it.
function stopForm(task: Task): HTMLElement {
  const { safe, keeper, opening } = task;
  const closes = task.state === "open";
  const reason = h("input", { id: "reason", maxlength: "1000", required: true });
  const button = action(closes ? "Close it" : "Refuse it", status, async () => {
    if (!reason.reportValidity()) {
      return;
    }
    const act = closes ? close(opening, reason.value.trim()) : refuse(opening, reason.value.trim());
    await safe.post(`/v1/openings/${opening}/${closes ? "close" : "refuse"}`, { signed: await signAct(keeper.signer, act) });
    await ended(task, closes ? "It is closed." : "It is refused.");
  }, { id: closes ? "close" : "refuse" });
  return h("div", {}, field(closes ? "Why it is to be closed" : "Why it is refused", reason, "The team reads it, and the ledger keeps it."), h("p", { class: "actions" }, button));
}

// Says what was done; around that the safe's own page shows how things are now.
async function ended(task: Task, text: string): Promise<void> {
  body.replaceChildren(h("p", { id: "ended", tabindex: "-1" }, h("strong", {}, text), " ", task.back()));
  status.replaceChildren();
  if (!task.safe.elsewhere) {
    await redraw(section).catch(() => undefined); // it is done all the same, and the way back leads to how things are
  }
  byId("ended").focus(); // what was pressed is gone
}

// Shows what a grant says, checked, and asks for the touch.
async function showGrant(task: Task, check: HTMLButtonElement): Promise<void> {
  const { safe, keeper, opening } = task;
  const keyring = keeper.keyring;
  if (keyring === undefined) {
    throw new Trouble("Your passkey keeps no key of this safe.", "Release from a terminal (strongroom opening release), or enrol anew with this device.");
  }
  const answer = await safe.post<GrantedAnswer>(`/v1/openings/${opening}/grant`);
  const grant = fromBase64(answer.grant);
  const granted = { grant, statement: utf8(answer.request.statement), descriptions: answer.snapshots.map((s) => fromBase64(s.description)) };
  const r = await review(keeper.store, opening, granted, new Date());
  if (r.grant.operator === keeper.person) {
    throw new Trouble("You cannot release what you asked for yourself.", "Another keykeeper does.");
  }
  if (safe.elsewhere) {
    await checkAsked(keeper, r, answer.request);
  }
  const digest = await challenge(releaseNamespace, releaseMessage(fromBase64url(answer.nonce), grant));
  const ring = new Ring(keeper, keyring);
  const send = (assertion: Assertion) =>
    openAll(task, keyring, r, ring, {
      v: 1,
      keykeeper: keeper.person,
      nonce: answer.nonce,
      grant: new TextDecoder().decode(grant),
      request: { statement: answer.request.statement, signature: answer.request.signature },
      signature: assertionText(assertion),
    });
  const ask = h("div", { id: "ask" });
  check.closest("p")?.replaceWith(h("div", { id: "grant" }, ...describe(r), ask));
  askForTouch(ask, keeper, r, ring, digest, send);
}

// A page that has the roster pinned can tell whether one of its operators has
// asked for this, and not long ago. The safe's own page would take the safe's
// word for the operator's key.
async function checkAsked(keeper: Keeper, r: Review, request: { statement: string; signature: string }): Promise<void> {
  const { operator, key, address, roster } = r.grant;
  const person = personOf(keeper.roster, operator);
  const refuse = (reason: string): never => {
    throw new Trouble(`The grant that the safe made is not what was asked for: ${reason}.`, tellColleagues);
  };
  if (!person?.ssh?.includes(key) || !(await verify(key, request.signature, actNamespace, utf8(request.statement)))) {
    refuse(`no SSH key of ${operator} has signed the request`);
  }
  if (!person?.roles.includes("operator") || !person.addresses?.includes(address)) {
    refuse(`${operator} is no operator, or has another address than ${address}`);
  }
  if (roster !== keeper.digest) {
    refuse("it is for another roster");
  }
  // Or else every request that was ever signed could be released once more.
  if (!(r.notAfter.getTime() > Date.now() && r.notAfter.getTime() <= r.asked.getTime() + longestWait)) {
    throw new Trouble(
      `The request is from ${when(r.asked)}, and was good until ${when(r.notAfter)}.`,
      `Have ${operator} ask anew. What is open can be prolonged from a terminal: strongroom opening release.`,
    );
  }
}

const longestWait = 7 * 24 * 3_600_000; // milliseconds that a request can be good for

// Asks for the touch that signs the release and unwraps the key of the newest
// period that it is about. If the passkey has not wrapped that, or it does not
// open, the personal key can do, which opens more: so it is the person's choice.
function askForTouch(where: HTMLElement, keeper: Keeper, r: Review, ring: Ring, digest: Bytes, send: (a: Assertion) => Promise<void>): void {
  const label = "Release with your personal key";
  const periods = periodsOf(keeper, r.grant.runs);
  const newest = periods[0] ?? 1;
  const near = ring.near(newest);
  const copies = [...new Set([...periods, ...near])].filter((n) => ring.hasCopy(n)).filter((n, i) => i === 0 || periods.includes(n));
  const personal = async () => {
    const assertion = await ring.touchPersonal(digest);
    for (const period of copies) {
      await ring.openCopy(period);
    }
    await send(assertion);
  };
  const wrapped = ring.wraps(newest) || copies.length === 0 ? near.find((n) => ring.wraps(n)) : undefined;
  if (wrapped === undefined && copies.length === 0) {
    throw new Trouble(
      "You have no key that opens this: no copy of the outer key is sealed to you yet.",
      "A keykeeper who has it adds you once more (strongroom people add). Until then that keykeeper releases.",
    );
  }
  if (wrapped === undefined) {
    offer(where, `The key of period ${newest} is not under your passkey yet: “Check your keys”, on the page People, puts it there. ${personalDoes}`, label, personal, "release-button");
    return;
  }
  offer(where, "", "Release with your passkey", async () => {
    let assertion: Assertion;
    try {
      assertion = await ring.touchPeriod(wrapped, digest);
    } catch (error) {
      if (!(error instanceof WrappedError) || copies.length === 0) {
        throw error;
      }
      offer(where, `Nothing was released: ${error.message}. ${personalDoes}`, label, personal, "release-button");
      return;
    }
    await send(assertion);
  }, "release-button");
}

const personalDoes =
  "Your personal key can do instead: it opens your copy of that key, and could open those of all other periods. It stays in this page, as that key would.";

// Puts a button there, with what is to be known before it is pressed.
function offer(where: HTMLElement, text: string, label: string, run: () => Promise<void>, id: string): void {
  const button = action(label, status, run, { class: "first", id });
  where.replaceChildren(...(text === "" ? [] : [h("p", { class: "why" }, text)]), h("p", { class: "actions" }, button));
  button.focus();
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

// Opens the outer layer of all runs, asking for older keys where they are
// needed, and sends the release.
async function openAll(task: Task, keyring: Keyring, r: Review, ring: Ring, release: Record<string, unknown>): Promise<void> {
  const { safe, keeper, opening } = task;
  const total = r.grant.runs.length;
  const bar = h("progress", { id: "progress", max: String(total), value: "0", "aria-label": "Envelopes opened" });
  const count = h("p", { id: "count" });
  const progress = (n: number) => {
    bar.value = n;
    count.textContent = `${n.toLocaleString("en")} of ${total.toLocaleString("en")} envelopes opened`;
  };
  const more = h("div", { id: "more" });
  body.replaceChildren(h("div", { id: "work" }, bar, count, more));
  const opener = new Opener(workerURL);
  try {
    const inner = new Map<string, Bytes>();
    let left = await openAvailable(task, opener, r, ring, inner, progress);
    while (left.length > 0) {
      await oneMore(keeper, ring, left, more);
      left = await openBatch(opener, left, ring, inner, progress);
    }
    count.textContent = "Sending the release.";
    await safe.post(`/v1/openings/${opening}/release`, {
      release,
      inner: r.grant.runs.map((run) => ({ run, file: toBase64(inner.get(run) as Bytes) })),
    });
  } finally {
    opener.close();
  }
  await ended(task, "It is released.");
  offerKeeping(safe, keeper, keyring, ring, r);
}

// Fetches all envelopes, and opens what the keys that are there open. Returns
// the others.
async function openAvailable(task: Task, opener: Opener, r: Review, ring: Ring, inner: Map<string, Bytes>, progress: (n: number) => void): Promise<Envelope[]> {
  const left: Envelope[] = [];
  let after = "";
  for (let next = 0; next < r.grant.runs.length; ) {
    const page = await task.safe.get<{ run: string; envelope: string }[]>(`/v1/openings/${task.opening}/envelopes${after && "?after=" + after}`);
    if (page.length === 0) {
      throw new Trouble(`The safe hands out ${next} envelopes, and the grant is for ${r.grant.runs.length}.`, tellColleagues);
    }
    const batch: Envelope[] = [];
    for (const e of page) {
      batch.push(await checked(r, r.grant.runs[next++], e));
    }
    left.push(...(await openBatch(opener, batch, ring, inner, progress)));
    after = batch[batch.length - 1]?.run ?? "";
  }
  return left;
}

// An envelope must be the next of the grant, and the one whose digest the
// snapshot's description has.
async function checked(r: Review, run: string | undefined, e: { run: string; envelope: string }): Promise<Envelope> {
  const want = run === undefined ? undefined : r.runs.get(run);
  if (run === undefined || want === undefined || e.run !== run) {
    throw new Trouble(`The safe hands out the envelope of run ${e.run}, which is not the next one of the grant.`, tellColleagues);
  }
  const envelope = fromBase64(e.envelope);
  if (toHex(await sha256(envelope)) !== want.envelope) {
    throw new Trouble(
      `The envelope of run ${run} of ${want.source}, from ${day(timeOfRun(run))}, is not the one that the snapshot's description names.`,
      "Nothing was released. It is damaged, or was exchanged: have the store looked at on the safe's host (strongroom scrub).",
    );
  }
  return { store: r.grant.store, run, source: want.source, envelope };
}

async function openBatch(opener: Opener, batch: Envelope[], ring: Ring, inner: Map<string, Bytes>, progress: (n: number) => void): Promise<Envelope[]> {
  const before = inner.size;
  opener.useKeys(ring.newestFirst);
  let opened: (Bytes | null)[];
  try {
    opened = await opener.open(batch, (done) => progress(before + done));
  } catch (cause) {
    throw new Trouble(reasonOf(cause), tellColleagues, { cause });
  }
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

// Opens one key more: of the period that the first of what is left seems to be
// of, or else of the one that is nearest.
async function oneMore(keeper: Keeper, ring: Ring, left: Envelope[], where: HTMLElement): Promise<void> {
  const first = left[0] as Envelope;
  const near = ring.near(periodAt(keeper, timeOfRun(first.run)));
  const copy = near.find((n) => ring.hasCopy(n));
  if (ring.hasPersonal && copy !== undefined) {
    await ring.openCopy(copy);
    return;
  }
  const wrapped = near.find((n) => ring.wraps(n));
  if (wrapped === undefined && copy === undefined) {
    throw new Trouble(
      `The envelope of run ${first.run} of ${first.source}, from ${day(timeOfRun(first.run))}, opens with none of your keys.`,
      "Nothing was released. It is sealed to the key of a period of which you have no copy: a keykeeper who has it adds you once more (strongroom people add), or releases this.",
    );
  }
  const many = `${left.length.toLocaleString("en")} envelopes are of an older period.`;
  await new Promise<void>((resolve) => {
    const done = () => {
      where.replaceChildren();
      resolve();
    };
    const personal = async () => {
      await ring.touchPersonal(unused());
      await ring.openCopy(copy as number);
      done();
    };
    const askPersonal = (text: string) => offer(where, `${text} ${personalDoes}`, "Go on with your personal key", personal, "again");
    if (wrapped === undefined) {
      askPersonal(`${many} The key of period ${copy} is not under your passkey.`);
      return;
    }
    offer(where, many, "Touch your passkey once more", async () => {
      try {
        await ring.touchPeriod(wrapped, unused());
      } catch (error) {
        if (!(error instanceof WrappedError) || copy === undefined) {
          throw error;
        }
        askPersonal(`${many} But ${error.message}.`);
        return;
      }
      done();
    }, "again");
  });
}

// A challenge for a touch whose signature is not used.
function unused(): Bytes {
  return crypto.getRandomValues(new Uint8Array(32));
}

// Wraps the key of the newest period that was opened by a copy under the
// passkey by itself, so that next time nothing else is unwrapped for it.
function offerKeeping(safe: Safe, keeper: Keeper, keyring: Keyring, ring: Ring, r: Review): void {
  const used = periodsOf(keeper, r.grant.runs)[0] ?? 1;
  const key = ring.outer.get(used);
  if (key === undefined || keyring.periods.has(used)) {
    return;
  }
  const keep = action("Put it under your passkey", status, async () => {
    await keepUnderPasskey(safe, keyring, keeper.domain, used, key);
    part.replaceChildren(h("p", {}, "Done."));
  }, { id: "keep" });
  const part = h(
    "div",
    {},
    h("p", {}, `The key of period ${used} is new to your passkey. With one touch more it is kept for itself, and a release of this period no longer needs your personal key.`),
    h("p", { class: "actions" }, keep),
  );
  body.append(part);
}

start().catch((error: unknown) => {
  if (error instanceof Problem && error.status === 401 && section.dataset.safe === undefined) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    return;
  }
  showError(status, error);
});
