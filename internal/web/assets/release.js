import {
  checkRoster,
  checkSafe,
  pinOf,
  signIn
} from "./shared-35SH5IRH.js";
import {
  day,
  keepUnderPasskey,
  when
} from "./shared-WJDCFCOA.js";
import {
  askKeyring,
  passkeyOf
} from "./shared-J55N52WJ.js";
import {
  credentialOf,
  personOf,
  readRoster,
  redraw,
  signAct,
  signerOf
} from "./shared-JMBBHRIC.js";
import {
  Problem,
  Safe,
  Trouble,
  action,
  byId,
  field,
  h,
  reasonOf,
  showError,
  tellColleagues
} from "./shared-CXLUVPZO.js";
import {
  openCopy,
  unwrapAndSign
} from "./shared-F6GVJO2D.js";
import {
  PasskeyError,
  actNamespace,
  assertionText,
  challenge,
  close,
  concat,
  equal,
  fromBase64,
  fromBase64url,
  read,
  refuse,
  releaseMessage,
  releaseNamespace,
  sha256,
  toBase64,
  toHex,
  utf8
} from "./shared-JFX4GKKW.js";

// review.ts
async function review(store, opening, granted, now) {
  const grant = read("the grant", granted.grant);
  const request = read("the request", granted.statement);
  const descriptions = granted.descriptions.map((d) => read("the description of a snapshot", d));
  const refuse2 = (reason) => {
    throw new Error(`The grant that the safe made is not what was asked for: ${reason}. Refuse it, and tell your colleagues.`);
  };
  const q = request.what;
  const hours = (Date.parse(grant.until) - Date.parse(grant.from)) / 36e5;
  if (grant.v !== 1 || request.v !== 1 || request.act !== "opening.request") {
    refuse2("this page does not know its form");
  }
  if (grant.store !== store || request.store !== store || grant.opening !== opening || q.opening !== opening) {
    refuse2("it is for another opening");
  }
  if (grant.operator !== request.person || grant.address !== q.address || grant.reason !== q.reason) {
    refuse2("it names another operator, address or reason");
  }
  if (!(hours > 0 && hours <= q.hours && hours <= 72) || Date.parse(grant.from) > now.getTime() + 5 * 6e4 || !(Date.parse(grant.until) > now.getTime())) {
    refuse2("it is for another time, or the clock of this device is wrong");
  }
  if (!sameList(grant.snapshots.map((s) => s.run), q.snapshots) || descriptions.length !== q.snapshots.length) {
    refuse2("it is for other snapshots");
  }
  const runs = /* @__PURE__ */ new Map();
  for (const [i, d] of descriptions.entries()) {
    const s = grant.snapshots[i];
    const digest = toHex(await sha256(granted.descriptions[i]));
    if (d.v !== 1 || d.store !== store || d.run !== s?.run || d.source !== s.source || s.description !== digest) {
      refuse2("it describes a snapshot in another way than its description does");
    }
    for (const [run, { envelope }] of Object.entries(d.runs)) {
      const other = runs.get(run);
      if (other !== void 0 && (other.source !== d.source || other.envelope !== envelope)) {
        refuse2("a run is of two sources");
      }
      runs.set(run, { source: d.source, envelope });
    }
  }
  if (!sameList([...runs.keys()].sort(), grant.runs)) {
    refuse2("it names other runs than those of its snapshots");
  }
  return { grant, asked: new Date(request.time), notAfter: new Date(q.not_after), disclosed: disclose(runs), runs };
}
function disclose(runs) {
  const bySource = /* @__PURE__ */ new Map();
  for (const [run, { source }] of runs) {
    const at = timeOfRun(run);
    const d = bySource.get(source);
    if (d === void 0) {
      bySource.set(source, { source, collections: 1, from: at, to: at });
      continue;
    }
    d.collections++;
    d.from = at < d.from ? at : d.from;
    d.to = at > d.to ? at : d.to;
  }
  return [...bySource.values()].sort((a, b) => a.source < b.source ? -1 : 1);
}
function timeOfRun(run) {
  return new Date(parseInt(run.replaceAll("-", "").slice(0, 12), 16));
}
function sameList(a, b) {
  return a.length === b.length && a.every((s, i) => s === b[i]);
}

// keeper.ts
async function whoIsHere(safe, known) {
  const session = await safe.get("/v1/session");
  const everyone = await safe.get("/v1/people");
  const bytes = fromBase64(everyone.current);
  const roster = readRoster(bytes);
  if (known !== void 0) {
    checkSafe(known.pin, session);
    await checkRoster(known.pin, bytes, roster.n);
  }
  const me = personOf(roster, session.person);
  if (me === void 0 || roster.store !== session.store) {
    throw new Trouble("You are not in the safe's roster.", "Two people take you into it: strongroom people add, and people agree.");
  }
  if (known !== void 0 && !me.passkeys?.some((k) => equal(credentialOf(k), known.passkey))) {
    throw new Trouble(`The safe says that you are ${me.name}, whose passkey is not the one that you have touched.`, tellColleagues);
  }
  const stopped = checkSuspended(me, everyone.suspensions ?? []);
  const keykeeper = me.roles.includes("keykeeper");
  const domain = roster.domain ?? "";
  return {
    person: session.person,
    store: session.store,
    domain,
    recipient: keykeeper ? me.key ?? "" : "",
    signer: signerOf(session.store, me, domain, stopped),
    keyring: keykeeper ? await askKeyring(safe, session.store, session.person) : void 0,
    roster,
    digest: toHex(await sha256(bytes))
  };
}
function checkSuspended(me, suspensions) {
  const own = suspensions.filter((s) => s.person === me.name);
  const stopped = own.flatMap((s) => s.key ?? []);
  const release = (me.passkeys ?? []).filter((k) => k.use === "release");
  if (own.some((s) => s.key === void 0)) {
    throw new Trouble("You are suspended: nothing that you sign counts.", `Another keykeeper and an operator lift that (strongroom people lift ${me.name}), which takes a day. Until then another keykeeper releases.`);
  }
  if (release.length > 0 && release.every((k) => stopped.includes(k.key))) {
    throw new Trouble(
      "Your passkey that signs is suspended: nothing that it signs counts.",
      "If it is lost, enrol anew with another device: whoever keeps the safe’s host invites you. Until you are taken in again another keykeeper releases."
    );
  }
  return stopped;
}
function periodAt(keeper, at) {
  const { periods } = keeper.roster;
  const later = periods.findIndex((p) => Date.parse(p.from) > at.getTime());
  return Math.max(1, later < 0 ? periods.length : later);
}
function periodsOf(keeper, runs) {
  return [...new Set(runs.map((run) => periodAt(keeper, timeOfRun(run))))].sort((a, b) => b - a);
}
var WrappedError = class extends Trouble {
  constructor(what, cause) {
    super(
      `what your passkey has wrapped as ${what} does not open: ${reasonOf(cause)}`,
      "Nothing was released. Release from a terminal (strongroom opening release), or have another keykeeper do it. Then enrol anew with this device.",
      { cause }
    );
  }
};
var Ring = class {
  constructor(keeper, keyring) {
    this.keeper = keeper;
    this.keyring = keyring;
  }
  keeper;
  keyring;
  outer = /* @__PURE__ */ new Map();
  // by period
  #failed = /* @__PURE__ */ new Set();
  // periods whose wrapped keys do not open
  #personal;
  /** The open keys, the newest period first. */
  get newestFirst() {
    return [...this.outer].sort(([a], [b]) => b - a).map(([, key]) => key);
  }
  /** Whether the passkey has wrapped the key of that period, and it is not known to be damaged. */
  wraps(period) {
    return this.keyring.periods.has(period) && !this.#failed.has(period);
  }
  /** Whether the person has a copy of the key of that period, which the personal key opens. */
  hasCopy(period) {
    return this.#copy(period) !== void 0;
  }
  /** Whether the personal key is open. */
  get hasPersonal() {
    return this.#personal !== void 0;
  }
  /** The periods whose keys are not open and could be, those first that are near to one. */
  near(period) {
    return this.keeper.roster.periods.map((_, i) => i + 1).filter((n) => !this.outer.has(n) && (this.wraps(n) || this.hasCopy(n))).sort((a, b) => Math.abs(a - period) - Math.abs(b - period) || a - b);
  }
  /** Signs a challenge, and unwraps the outer key of that period. */
  async touchPeriod(period, challenge2) {
    const { key, assertion } = await this.#touch(
      `the outer key of period ${period}`,
      () => unwrapAndSign("outer", this.keyring.periods.get(period), this.#passkey, this.#recipient(period), challenge2)
    ).catch((error) => {
      if (error instanceof WrappedError) {
        this.#failed.add(period);
      }
      throw error;
    });
    this.outer.set(period, key);
    return assertion;
  }
  /** Signs a challenge, and unwraps the personal key. */
  async touchPersonal(challenge2) {
    const { key, assertion } = await this.#touch(
      "your personal key",
      () => unwrapAndSign("personal", this.keyring.personal, this.#passkey, this.keeper.recipient, challenge2)
    );
    this.#personal = key;
    return assertion;
  }
  /** Opens the person's copy for that period with the personal key, which is open. */
  async openCopy(period) {
    const copy = this.#copy(period);
    if (copy === void 0 || this.#personal === void 0) {
      throw new Trouble(
        `The roster has no copy of the outer key of period ${period} for you.`,
        "A keykeeper who has that key adds you once more (strongroom people add). Until then another keykeeper releases."
      );
    }
    try {
      this.outer.set(period, await openCopy(this.#personal, fromBase64(copy), this.#recipient(period)));
    } catch (cause) {
      throw new Trouble(
        `Your copy of the outer key of period ${period}, in the roster, does not open: ${reasonOf(cause)}.`,
        "A keykeeper who has that key adds you once more (strongroom people add). Until then another keykeeper releases.",
        { cause }
      );
    }
  }
  get #passkey() {
    return passkeyOf(this.keyring, this.keeper.domain);
  }
  #copy(period) {
    return this.keeper.roster.periods[period - 1]?.outer_copies?.find((c) => c.person === this.keeper.person)?.sealed;
  }
  #recipient(period) {
    const p = this.keeper.roster.periods[period - 1];
    if (p === void 0) {
      throw new Error(`there is no period ${period}`);
    }
    return p.outer;
  }
  // What the passkey itself says is passed on: another try may do.
  async #touch(what, touch) {
    try {
      return await touch();
    } catch (cause) {
      if (cause instanceof PasskeyError) {
        throw cause;
      }
      throw new WrappedError(what, cause);
    }
  }
};

// opener.ts
var Opener = class {
  #workers = [];
  /** url is that of worker.js, which lies beside the page's own script. */
  constructor(url) {
    const cores = Math.min(4, Math.max(1, Math.ceil((navigator.hardwareConcurrency || 1) / 2)));
    for (let i = 0; i < cores; i++) {
      this.#workers.push(new Worker(trusted(url), { name: "envelopes", type: "module" }));
    }
  }
  /** The keys that are tried, in this order. */
  useKeys(keys) {
    const message = { kind: "keys", lines: keys.map((key) => key.privateLine()) };
    this.#workers.forEach((worker) => worker.postMessage(message));
  }
  /**
   * Returns the inner layers of the batch, in its order; null stands for what
   * is sealed to none of the keys. Any other fault of one envelope fails the
   * whole batch.
   */
  async open(batch, progress) {
    const done = this.#workers.map(() => 0);
    const size = Math.ceil(batch.length / this.#workers.length);
    const parts = await Promise.all(
      this.#workers.map(
        (worker, i) => openIn(worker, batch.slice(i * size, (i + 1) * size), (n) => {
          done[i] = n;
          progress(done.reduce((sum, n2) => sum + n2));
        })
      )
    );
    return parts.flat();
  }
  close() {
    this.#workers.forEach((worker) => worker.terminate());
  }
};
function openIn(worker, envelopes, progress) {
  if (envelopes.length === 0) {
    return Promise.resolve([]);
  }
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(`the Worker that opens envelopes failed: ${event.message || "it could not be loaded"}`));
    worker.onmessage = (event) => {
      const message = event.data;
      switch (message.kind) {
        case "progress":
          return progress(message.done);
        case "opened":
          progress(message.inner.length);
          return resolve(message.inner);
        case "failed":
          return reject(new Error(message.error));
      }
    };
    worker.postMessage({ kind: "open", envelopes });
  });
}
var trustedTypesPolicy = "strongroom-worker";
var trusted = (() => {
  const createScriptURL = (url) => {
    if (new URL(url).origin !== location.origin || !new URL(url).pathname.endsWith("/worker.js")) {
      throw new TypeError("not the script of the Worker");
    }
    return url;
  };
  const factory = globalThis.trustedTypes;
  const policy = factory?.createPolicy(trustedTypesPolicy, { createScriptURL });
  return (url) => (policy ?? { createScriptURL }).createScriptURL(url.href);
})();

// sshsig.ts
async function verify(key, signature, namespace, message) {
  const [kind = "", line = ""] = key.split(" ");
  const publicKey = fromBase64(line);
  const made = parse(fromBase64(signature));
  if (!equal(made.publicKey, publicKey) || made.namespace !== namespace || made.reserved !== "" || made.hash !== "sha512") {
    return false;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", message));
  let signed = concat(magic, field2(utf8(namespace)), field2(utf8("")), field2(utf8("sha512")), field2(digest));
  const parts = new Reader(publicKey);
  const raw = new Reader(made.signature);
  if (parts.text() !== kind || raw.text() !== kind) {
    return false;
  }
  const point = parts.field();
  const value = raw.field();
  switch (kind) {
    case "ssh-ed25519":
      break;
    case "sk-ssh-ed25519@openssh.com": {
      const more = raw.take(5);
      if (((more[0] ?? 0) & touched) === 0) {
        return false;
      }
      signed = concat(await sha256(parts.field()), more, await sha256(signed));
      break;
    }
    default:
      return false;
  }
  if (!parts.ended || !raw.ended) {
    return false;
  }
  const verifier = await crypto.subtle.importKey("raw", point, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", verifier, value, signed);
}
var magic = utf8("SSHSIG");
var touched = 1;
function parse(b) {
  const r = new Reader(b);
  if (!equal(r.take(magic.length), magic) || !equal(r.take(4), Uint8Array.of(0, 0, 0, 1))) {
    throw new Error("not an SSH signature of version 1");
  }
  const parsed = { publicKey: r.field(), namespace: r.text(), reserved: r.text(), hash: r.text(), signature: r.field() };
  if (!r.ended) {
    throw new Error("an SSH signature is followed by something else");
  }
  return parsed;
}
function field2(b) {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, b.length);
  return concat(length, b);
}
var Reader = class {
  constructor(b) {
    this.b = b;
  }
  b;
  #at = 0;
  get ended() {
    return this.#at === this.b.length;
  }
  take(n) {
    if (this.#at + n > this.b.length) {
      throw new Error("an SSH signature or key is cut short");
    }
    return this.b.slice(this.#at, this.#at += n);
  }
  field() {
    return this.take(new DataView(this.take(4).buffer).getUint32(0));
  }
  text() {
    return new TextDecoder().decode(this.field());
  }
};

// release.ts
var section = byId("release");
var body = byId("release-panel");
var status = h("p", { id: "release-status", role: "status" });
var workerURL = new URL("worker.js", import.meta.url);
async function start() {
  body.after(status);
  const pin = pinOf(section);
  const safe = new Safe(pin?.safe);
  if (pin === void 0) {
    const { opening = "", state = "" } = section.dataset;
    show({ safe, keeper: await whoIsHere(safe), opening, state, back: () => h("a", { href: location.pathname }, "Look at the opening") });
    return;
  }
  if (self !== top) {
    throw new Trouble("This page is shown within another one, which could have you press what you do not see.", "Open it in a window of its own.");
  }
  const asked = openingIn(location.hash);
  addEventListener("hashchange", () => location.reload());
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
function openingIn(hash) {
  if (hash === "" || hash === "#") {
    return "";
  }
  const id = /^#opening=([0-9a-f-]{36})$/.exec(hash)?.[1];
  if (id === void 0) {
    throw new Trouble("The address of this page does not name an opening.", "It ends in #opening= and the id of one, which the safe's mail has, or in nothing: then you see those that wait.");
  }
  return id;
}
async function list(safe, keeper) {
  const all = await safe.get("/v1/openings") ?? [];
  const pending = all.filter((o) => o.state === "requested" || o.state === "open");
  const items = pending.map((o) => {
    const go = action(o.state === "open" ? "Close or prolong" : "Release or refuse", status, () => look(safe, keeper, o.id), { "data-opening": o.id });
    return h("li", {}, whoAsks(o), h("p", { class: "actions" }, go));
  });
  body.replaceChildren(
    h("p", {}, "You are ", h("bdi", {}, h("strong", {}, keeper.person)), items.length > 0 ? ". These openings wait for somebody:" : ". No opening waits for anybody."),
    h("ul", { id: "openings" }, ...items),
    h("p", { class: "actions" }, action("Look again", status, () => list(safe, keeper), { id: "look-again" }))
  );
}
function whoAsks(o) {
  const q = JSON.parse(o.request.statement);
  const who = o.state === "open" ? " can read, since a request of " : o.state === "requested" ? " asks, on " : " asked, on ";
  return h("p", {}, h("bdi", {}, h("strong", {}, q.person)), who, when(new Date(q.time)), ": “", h("bdi", {}, q.what.reason), "”");
}
async function look(safe, keeper, opening) {
  const asked = await safe.get(`/v1/openings/${opening}`);
  show({ safe, keeper, opening, state: asked.state, asked, back: () => action("Look at what else waits", status, () => list(safe, keeper), { id: "back" }) });
}
function show(task) {
  const { keeper, state, asked } = task;
  const first = asked === void 0 ? [] : [whoAsks(asked)];
  if (state !== "requested" && state !== "open") {
    body.replaceChildren(...first, h("p", {}, "This opening is over: there is nothing to do."), h("p", { class: "actions" }, task.back()));
    return;
  }
  const parts = [];
  if (keeper.recipient !== "") {
    const check = action(state === "open" ? "Look at a release that prolongs it" : "Look at what would be released", status, () => showGrant(task, check), { class: "first", id: "look" });
    parts.push(h("p", { class: "actions" }, check));
  }
  if (state === "open" || keeper.recipient !== "") {
    parts.push(stopForm(task));
  }
  const last = asked === void 0 ? [] : [h("p", { class: "actions" }, task.back())];
  body.replaceChildren(...first, ...parts.length > 0 ? parts : [h("p", {}, "A keykeeper releases or refuses it.")], ...last);
}
function stopForm(task) {
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
async function ended(task, text) {
  body.replaceChildren(h("p", { id: "ended", tabindex: "-1" }, h("strong", {}, text), " ", task.back()));
  status.replaceChildren();
  if (!task.safe.elsewhere) {
    await redraw(section).catch(() => void 0);
  }
  byId("ended").focus();
}
async function showGrant(task, check) {
  const { safe, keeper, opening } = task;
  const keyring = keeper.keyring;
  if (keyring === void 0) {
    throw new Trouble("Your passkey keeps no key of this safe.", "Release from a terminal (strongroom opening release), or enrol anew with this device.");
  }
  const answer = await safe.post(`/v1/openings/${opening}/grant`);
  const grant = fromBase64(answer.grant);
  const granted = { grant, statement: utf8(answer.request.statement), descriptions: answer.snapshots.map((s) => fromBase64(s.description)) };
  const r = await review(keeper.store, opening, granted, /* @__PURE__ */ new Date());
  if (r.grant.operator === keeper.person) {
    throw new Trouble("You cannot release what you asked for yourself.", "Another keykeeper does.");
  }
  if (safe.elsewhere) {
    await checkAsked(keeper, r, answer.request);
  }
  const digest = await challenge(releaseNamespace, releaseMessage(fromBase64url(answer.nonce), grant));
  const ring = new Ring(keeper, keyring);
  const send = (assertion) => openAll(task, keyring, r, ring, {
    v: 1,
    keykeeper: keeper.person,
    nonce: answer.nonce,
    grant: new TextDecoder().decode(grant),
    request: { statement: answer.request.statement, signature: answer.request.signature },
    signature: assertionText(assertion)
  });
  const ask = h("div", { id: "ask" });
  check.closest("p")?.replaceWith(h("div", { id: "grant" }, ...describe(r), ask));
  askForTouch(ask, keeper, r, ring, digest, send);
}
async function checkAsked(keeper, r, request) {
  const { operator, key, address, roster } = r.grant;
  const person = personOf(keeper.roster, operator);
  const refuse2 = (reason) => {
    throw new Trouble(`The grant that the safe made is not what was asked for: ${reason}.`, tellColleagues);
  };
  if (!person?.ssh?.includes(key) || !await verify(key, request.signature, actNamespace, utf8(request.statement))) {
    refuse2(`no SSH key of ${operator} has signed the request`);
  }
  if (!person?.roles.includes("operator") || !person.addresses?.includes(address)) {
    refuse2(`${operator} is no operator, or has another address than ${address}`);
  }
  if (roster !== keeper.digest) {
    refuse2("it is for another roster");
  }
  if (!(r.notAfter.getTime() > Date.now() && r.notAfter.getTime() <= r.asked.getTime() + longestWait)) {
    throw new Trouble(
      `The request is from ${when(r.asked)}, and was good until ${when(r.notAfter)}.`,
      `Have ${operator} ask anew. What is open can be prolonged from a terminal: strongroom opening release.`
    );
  }
}
var longestWait = 7 * 24 * 36e5;
function askForTouch(where, keeper, r, ring, digest, send) {
  const label = "Release with your personal key";
  const periods = periodsOf(keeper, r.grant.runs);
  const newest = periods[0] ?? 1;
  const near = ring.near(newest);
  const copies = [.../* @__PURE__ */ new Set([...periods, ...near])].filter((n) => ring.hasCopy(n)).filter((n, i) => i === 0 || periods.includes(n));
  const personal = async () => {
    const assertion = await ring.touchPersonal(digest);
    for (const period of copies) {
      await ring.openCopy(period);
    }
    await send(assertion);
  };
  const wrapped = ring.wraps(newest) || copies.length === 0 ? near.find((n) => ring.wraps(n)) : void 0;
  if (wrapped === void 0 && copies.length === 0) {
    throw new Trouble(
      "You have no key that opens this: no copy of the outer key is sealed to you yet.",
      "A keykeeper who has it adds you once more (strongroom people add). Until then that keykeeper releases."
    );
  }
  if (wrapped === void 0) {
    offer(where, `The key of period ${newest} is not under your passkey yet: “Check your keys”, on the page People, puts it there. ${personalDoes}`, label, personal, "release-button");
    return;
  }
  offer(where, "", "Release with your passkey", async () => {
    let assertion;
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
var personalDoes = "Your personal key can do instead: it opens your copy of that key, and could open those of all other periods. It stays in this page, as that key would.";
function offer(where, text, label, run, id) {
  const button = action(label, status, run, { class: "first", id });
  where.replaceChildren(...text === "" ? [] : [h("p", { class: "why" }, text)], h("p", { class: "actions" }, button));
  button.focus();
}
function describe(r) {
  const g = r.grant;
  const fact = (name, ...value) => h("div", {}, h("dt", {}, name), h("dd", {}, ...value));
  return [
    h(
      "dl",
      { class: "facts" },
      fact("Who", h("bdi", {}, h("strong", {}, g.operator)), ", from ", g.address),
      fact("Why", "“", h("bdi", {}, g.reason), "”"),
      fact("Until", when(new Date(g.until))),
      fact("Discloses", h("ul", {}, ...r.disclosed.map((d) => h("li", {}, disclosed(d)))))
    )
  ];
}
function disclosed(d) {
  if (d.collections === 1) {
    return `${d.source}: one collection, ${day(d.from)}`;
  }
  return `${d.source}: everything that was new in ${d.collections} collections, ${day(d.from)} to ${day(d.to)}`;
}
async function openAll(task, keyring, r, ring, release) {
  const { safe, keeper, opening } = task;
  const total = r.grant.runs.length;
  const bar = h("progress", { id: "progress", max: String(total), value: "0", "aria-label": "Envelopes opened" });
  const count = h("p", { id: "count" });
  const progress = (n) => {
    bar.value = n;
    count.textContent = `${n.toLocaleString("en")} of ${total.toLocaleString("en")} envelopes opened`;
  };
  const more = h("div", { id: "more" });
  body.replaceChildren(h("div", { id: "work" }, bar, count, more));
  const opener = new Opener(workerURL);
  try {
    const inner = /* @__PURE__ */ new Map();
    let left = await openAvailable(task, opener, r, ring, inner, progress);
    while (left.length > 0) {
      await oneMore(keeper, ring, left, more);
      left = await openBatch(opener, left, ring, inner, progress);
    }
    count.textContent = "Sending the release.";
    await safe.post(`/v1/openings/${opening}/release`, {
      release,
      inner: r.grant.runs.map((run) => ({ run, file: toBase64(inner.get(run)) }))
    });
  } finally {
    opener.close();
  }
  await ended(task, "It is released.");
  offerKeeping(safe, keeper, keyring, ring, r);
}
async function openAvailable(task, opener, r, ring, inner, progress) {
  const left = [];
  let after = "";
  for (let next = 0; next < r.grant.runs.length; ) {
    const page = await task.safe.get(`/v1/openings/${task.opening}/envelopes${after && "?after=" + after}`);
    if (page.length === 0) {
      throw new Trouble(`The safe hands out ${next} envelopes, and the grant is for ${r.grant.runs.length}.`, tellColleagues);
    }
    const batch = [];
    for (const e of page) {
      batch.push(await checked(r, r.grant.runs[next++], e));
    }
    left.push(...await openBatch(opener, batch, ring, inner, progress));
    after = batch[batch.length - 1]?.run ?? "";
  }
  return left;
}
async function checked(r, run, e) {
  const want = run === void 0 ? void 0 : r.runs.get(run);
  if (run === void 0 || want === void 0 || e.run !== run) {
    throw new Trouble(`The safe hands out the envelope of run ${e.run}, which is not the next one of the grant.`, tellColleagues);
  }
  const envelope = fromBase64(e.envelope);
  if (toHex(await sha256(envelope)) !== want.envelope) {
    throw new Trouble(
      `The envelope of run ${run} of ${want.source}, from ${day(timeOfRun(run))}, is not the one that the snapshot's description names.`,
      "Nothing was released. It is damaged, or was exchanged: have the store looked at on the safe's host (strongroom scrub)."
    );
  }
  return { store: r.grant.store, run, source: want.source, envelope };
}
async function openBatch(opener, batch, ring, inner, progress) {
  const before = inner.size;
  opener.useKeys(ring.newestFirst);
  let opened;
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
async function oneMore(keeper, ring, left, where) {
  const first = left[0];
  const near = ring.near(periodAt(keeper, timeOfRun(first.run)));
  const copy = near.find((n) => ring.hasCopy(n));
  if (ring.hasPersonal && copy !== void 0) {
    await ring.openCopy(copy);
    return;
  }
  const wrapped = near.find((n) => ring.wraps(n));
  if (wrapped === void 0 && copy === void 0) {
    throw new Trouble(
      `The envelope of run ${first.run} of ${first.source}, from ${day(timeOfRun(first.run))}, opens with none of your keys.`,
      "Nothing was released. It is sealed to the key of a period of which you have no copy: a keykeeper who has it adds you once more (strongroom people add), or releases this."
    );
  }
  const many = `${left.length.toLocaleString("en")} envelopes are of an older period.`;
  await new Promise((resolve) => {
    const done = () => {
      where.replaceChildren();
      resolve();
    };
    const personal = async () => {
      await ring.touchPersonal(unused());
      await ring.openCopy(copy);
      done();
    };
    const askPersonal = (text) => offer(where, `${text} ${personalDoes}`, "Go on with your personal key", personal, "again");
    if (wrapped === void 0) {
      askPersonal(`${many} The key of period ${copy} is not under your passkey.`);
      return;
    }
    offer(where, many, "Touch your passkey once more", async () => {
      try {
        await ring.touchPeriod(wrapped, unused());
      } catch (error) {
        if (!(error instanceof WrappedError) || copy === void 0) {
          throw error;
        }
        askPersonal(`${many} But ${error.message}.`);
        return;
      }
      done();
    }, "again");
  });
}
function unused() {
  return crypto.getRandomValues(new Uint8Array(32));
}
function offerKeeping(safe, keeper, keyring, ring, r) {
  const used = periodsOf(keeper, r.grant.runs)[0] ?? 1;
  const key = ring.outer.get(used);
  if (key === void 0 || keyring.periods.has(used)) {
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
    h("p", { class: "actions" }, keep)
  );
  body.append(part);
}
start().catch((error) => {
  if (error instanceof Problem && error.status === 401 && section.dataset.safe === void 0) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    return;
  }
  showError(status, error);
});
