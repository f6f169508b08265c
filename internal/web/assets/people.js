"use strict";
(() => {
  // base64.ts
  function toBase64(b) {
    let text2 = "";
    for (let at = 0; at < b.length; at += 32768) {
      text2 += String.fromCharCode(...b.subarray(at, at + 32768));
    }
    return btoa(text2);
  }
  function fromBase64(text2) {
    let raw;
    try {
      raw = atob(text2);
    } catch {
      throw new Error("what should be base64 is not");
    }
    if (btoa(raw) !== text2) {
      throw new Error("what should be base64 is not in its one spelling");
    }
    return Uint8Array.from(raw, (c) => c.charCodeAt(0));
  }
  function toBase64url(b) {
    return toBase64(b).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }
  function fromBase64url(text2) {
    if (/[^A-Za-z0-9_-]/.test(text2)) {
      throw new Error("what should be base64url is not");
    }
    const standard = text2.replaceAll("-", "+").replaceAll("_", "/");
    return fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
  }
  function utf8(text2) {
    return new TextEncoder().encode(text2);
  }
  function concat(...parts) {
    const all2 = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) {
      all2.set(p, at);
      at += p.length;
    }
    return all2;
  }
  function equal(a, b) {
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
  }
  async function sha256(b) {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", b));
  }
  function toHex(b) {
    return Array.from(b, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // statement.ts
  var actNamespace = "strongroom/v1/act";
  function spellWithin(v) {
    check(v);
    return JSON.stringify(v).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  }
  function spell(v) {
    return utf8(spellWithin(v) + "\n");
  }
  function read(what, b) {
    try {
      const v = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b));
      if (equal(spell(v), b)) {
        return v;
      }
    } catch {
    }
    throw new Error(`${what} cannot be read`);
  }
  function check(v) {
    switch (typeof v) {
      case "string":
        if (hasLoneSurrogate(v)) {
          throw new Error("a text is not valid Unicode");
        }
        return;
      case "boolean":
        return;
      case "number":
        if (!Number.isSafeInteger(v) || Object.is(v, -0)) {
          throw new Error("a number is not a whole one that can be spelled");
        }
        return;
      case "object":
        if (v === null) {
          return;
        }
        if (Array.isArray(v)) {
          for (const item of v) {
            check(item);
          }
          return;
        }
        if (Object.getPrototypeOf(v) === Object.prototype) {
          Object.keys(v).forEach(check);
          Object.values(v).forEach(check);
          return;
        }
    }
    throw new Error("a value that has no spelling");
  }
  function hasLoneSurrogate(text2) {
    return /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text2);
  }
  function spellTime(t) {
    return t.toISOString().replace(/\.\d+Z$/, "Z");
  }
  var maxText = 4096;
  function text(s) {
    if (hasLoneSurrogate(s) || /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/.test(s)) {
      throw new Error("Write it on one line, without characters that do not show.");
    }
    if (utf8(s).length > maxText) {
      throw new Error("The text is too long: 4,096 bytes are possible.");
    }
    return s;
  }
  function agree(a) {
    return { act: "roster.agree", what: { n: a.n, digest: a.digest, after: a.after } };
  }
  function object(a) {
    return { act: "roster.object", what: { n: a.n, digest: a.digest, reason: text(a.reason) } };
  }
  function suspend(a) {
    const what = { person: a.person };
    if (a.key !== void 0) {
      what.key = a.key;
    }
    what.reason = text(a.reason);
    return { act: "person.suspend", what };
  }
  function statement(store, person, time, a) {
    return spell({ v: 1, store, act: a.act, person, time: spellTime(time), what: a.what });
  }
  function challenge(namespace, message) {
    return sha256(concat(utf8(namespace + "\n"), message));
  }

  // roster.ts
  function readRoster(b) {
    const r = read("a version of the roster", b);
    if (r.v !== 1) {
      throw new Error("a version of the roster is in a form that this page does not know");
    }
    return r;
  }
  function personOf(r, name) {
    return r.people?.find((p) => p.name === name);
  }
  function founded(r) {
    return ["keykeeper", "operator"].every((role) => r.people?.some((p) => p.roles.includes(role)));
  }
  function current(r) {
    const last = r.periods.at(-1);
    if (last === void 0) {
      throw new Error("a version of the roster has no role keys");
    }
    return last;
  }
  function renewed(r, next) {
    const [a, b] = [current(r), current(next)];
    return [...a.outer !== b.outer ? ["keykeeper"] : [], ...a.inner !== b.inner ? ["operator"] : []];
  }
  async function unfit(r, bytes, next) {
    const begun = next.periods.length - r.periods.length;
    const kept = r.periods.every((p, i) => {
      const q = next.periods[i];
      return q?.from === p.from && q.outer === p.outer && q.inner === p.inner;
    });
    if (next.store !== r.store) {
      return "it is of another safe";
    }
    if (next.n !== r.n + 1 || next.previous !== toHex(await sha256(bytes))) {
      return "it does not follow the version in force";
    }
    if (!founded(next)) {
      return "it has no keykeeper, or no operator";
    }
    if (!r.ledger_keys.every((key, i) => next.ledger_keys[i] === key)) {
      return "it takes out a key of the ledger";
    }
    if (!(r.lifted ?? []).every((entry) => next.lifted?.includes(entry))) {
      return "it takes out that a suspension was lifted";
    }
    if (!kept || begun > 1) {
      return "it changes the role keys of a period that has begun, or begins more than one";
    }
    if (begun === 1 && renewed(r, next).length === 0) {
      return "it begins a period without a new role key";
    }
    if (r.periods.some((p) => p.inner === current(next).outer || p.outer === current(next).inner)) {
      return "it makes the role key of one role that of the other";
    }
    return "";
  }
  async function fingerprint(key) {
    const [word, first = "", second = ""] = key.split(" ");
    const hash = await sha256(word === "passkey" ? fromBase64url(second) : fromBase64(first));
    return "SHA256:" + toBase64(hash).replace(/=+$/, "");
  }
  function credentialOf(p) {
    return fromBase64url(p.key.split(" ")[1] ?? "");
  }
  function keysOf(p) {
    const of = (use) => (p.passkeys ?? []).filter((k) => k.use === use).map((k) => k.key);
    return [...p.ssh ?? [], ...of("release"), ...of("sign-in")];
  }

  // webauthn.ts
  var PasskeyError = class extends Error {
    constructor(reason, message, remedy, options) {
      super(message, options);
      this.reason = reason;
      this.remedy = remedy;
      this.name = "PasskeyError";
    }
    reason;
    remedy;
  };
  var whatWorks = "Passkeys that work are those of iCloud Keychain (iOS 18, macOS 15 or newer), of Google Password Manager (Chrome on Android, Windows, macOS and Linux), and of security keys with FIDO2 and a PIN, such as YubiKey 5.";
  function assertionText(a) {
    const parts = [a.credential, a.authenticatorData, a.clientDataJSON, a.signature];
    return ["strongroom-passkey-v1", ...parts.map(toBase64url)].join(" ");
  }
  function checkBrowser() {
    if (!window.isSecureContext || typeof PublicKeyCredential === "undefined") {
      throw new PasskeyError(
        "no-webauthn",
        "This browser cannot use passkeys here.",
        "Open the page under its name with https, in a current Safari, Chrome, Edge or Firefox."
      );
    }
  }
  async function sign(domain, credentials, challenge2) {
    return (await get(domain, credentials, challenge2)).assertion;
  }
  var timeout = 5 * 6e4;
  async function get(domain, credentials, challenge2, prf) {
    checkBrowser();
    const options = {
      rpId: domain,
      challenge: challenge2,
      allowCredentials: credentials.map((id) => ({ type: "public-key", id })),
      userVerification: "required",
      timeout
    };
    if (prf !== void 0) {
      options.extensions = { prf: { eval: prf } };
    }
    const got = await asking(() => navigator.credentials.get({ publicKey: options }));
    const response = got.response;
    const assertion = {
      credential: new Uint8Array(got.rawId),
      authenticatorData: new Uint8Array(response.authenticatorData),
      clientDataJSON: new Uint8Array(response.clientDataJSON),
      signature: new Uint8Array(response.signature)
    };
    checkVerified(parseAuthenticatorData(assertion.authenticatorData));
    return { assertion, results: got.getClientExtensionResults().prf?.results };
  }
  async function asking(ask) {
    try {
      return await ask();
    } catch (cause) {
      throw explain(cause);
    }
  }
  function explain(cause) {
    const name = cause instanceof DOMException ? cause.name : "";
    const error = (reason, message, remedy) => new PasskeyError(reason, message, remedy, { cause });
    switch (name) {
      case "NotAllowedError":
      case "AbortError":
        return error(
          "not-allowed",
          "The passkey was not used: it was cancelled, took too long, is not on this device, or the device could not check that it is you.",
          "Try again. The device must have a screen lock, a fingerprint, a face or a PIN set up; a security key needs a PIN."
        );
      case "SecurityError":
        return error(
          "address",
          "The safe's passkeys do not belong to the address that this page was opened under.",
          "Open the page under the name of the safe that is in its mails, not under an IP address."
        );
      case "InvalidStateError":
        return error("exists", "This authenticator has that passkey already.", "Use it, or take another authenticator.");
      case "ConstraintError":
      case "NotSupportedError":
        return error("unsupported", "This authenticator cannot make such a passkey: it must keep the passkey itself, and check that it is you.", whatWorks);
    }
    return cause;
  }
  function checkVerified(data) {
    if (!data.verified) {
      throw new PasskeyError(
        "no-verification",
        "The authenticator did not check who touched it.",
        "Set up a PIN, a fingerprint or a face on it, and try again."
      );
    }
  }
  function parseAuthenticatorData(data) {
    const flags = data[32];
    if (data.length < 37 || flags === void 0) {
      throw new Error("the authenticator's data are too short");
    }
    const parsed = { verified: (flags & 5) === 5, synced: (flags & 8) !== 0 };
    if ((flags & 64) !== 0) {
      const length = (data[53] ?? 0) << 8 | (data[54] ?? 0);
      const key = 55 + length;
      parsed.credential = data.slice(55, key);
      parsed.publicKey = data.slice(key, skipCBOR(data, key, 0));
    }
    return parsed;
  }
  function skipCBOR(data, at, depth) {
    const head = data[at];
    if (head === void 0) {
      throw new Error("the authenticator's data end within a key");
    }
    const kind = head >> 5;
    let n = head & 31;
    let next = at + 1;
    if (n >= 24 && n <= 26) {
      const size = 1 << n - 24;
      n = 0;
      for (let i = 0; i < size; i++) {
        n = n * 256 + (data[next++] ?? 0);
      }
    } else if (n > 26) {
      throw new Error("the authenticator's key is in a form that is not known");
    }
    switch (kind) {
      case 0:
      case 1:
        break;
      case 2:
      case 3:
        next += n;
        break;
      case 5:
        if (depth > 0) {
          throw new Error("the authenticator's key is in a form that is not known");
        }
        for (let i = 0; i < 2 * n; i++) {
          next = skipCBOR(data, next, depth + 1);
        }
        break;
      default:
        throw new Error("the authenticator's key is in a form that is not known");
    }
    if (next > data.length) {
      throw new Error("the authenticator's data end within a key");
    }
    return next;
  }

  // acting.ts
  function signerOf(store, person, domain, suspended) {
    const usable = (person.passkeys ?? []).filter((k) => k.use === "release" && !suspended.includes(k.key));
    return { store, person: person.name, domain, passkeys: usable.map(credentialOf) };
  }
  async function signAct(s, act) {
    if (s.passkeys.length === 0) {
      throw new Error("You have no passkey that signs: use a terminal, with your SSH key.");
    }
    const bytes = statement(s.store, s.person, /* @__PURE__ */ new Date(), act);
    const assertion = await sign(s.domain, s.passkeys, await challenge(actNamespace, bytes));
    return { statement: new TextDecoder().decode(bytes), signature: assertionText(assertion) };
  }

  // api.ts
  var Problem = class extends Error {
    constructor(status2, message, remedy) {
      super(message);
      this.status = status2;
      this.remedy = remedy;
      this.name = "Problem";
    }
    status;
    remedy;
  };
  var Safe = class {
    /** base is where the safe is, "" for the page's own origin. */
    constructor(base = "") {
      this.base = base;
    }
    base;
    #session = "";
    /** Whether the page lies elsewhere. */
    get elsewhere() {
      return this.base !== "";
    }
    /** Keeps the session of a page that lies elsewhere. */
    useSession(id) {
      this.#session = id;
    }
    get(path) {
      return this.#call("GET", path);
    }
    /** Posts fields, each of which the caller has named, or nothing. */
    post(path, fields) {
      return this.#call("POST", path, fields);
    }
    async #call(method, path, fields) {
      const headers = {};
      if (this.#session !== "") {
        headers.Authorization = `Bearer ${this.#session}`;
      }
      const init = { method, headers, redirect: "error", cache: "no-store", credentials: this.elsewhere ? "omit" : "same-origin" };
      if (fields !== void 0) {
        headers["Content-Type"] = "application/json";
        init.body = JSON.stringify(fields);
      }
      let answer;
      try {
        answer = await fetch(this.base + path, init);
      } catch {
        throw new Problem(0, "The safe cannot be reached.", "Check that you are in its network, and try again.");
      }
      const text2 = await answer.text();
      if (!answer.ok) {
        throw problem(answer.status, text2);
      }
      return text2 === "" ? {} : JSON.parse(text2);
    }
  };
  function problem(status2, text2) {
    let told = {};
    try {
      told = JSON.parse(text2);
    } catch {
    }
    const error = typeof told.error === "string" && told.error !== "" ? told.error : `The safe answered with status ${status2}.`;
    const remedy = typeof told.remedy === "string" ? told.remedy : "";
    return new Problem(status2, error, remedy || (status2 === 401 ? "Sign in again." : ""));
  }

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
  function quote(text2 = "") {
    return JSON.stringify(text2);
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
      for (const p of people) {
        const without = (copies = []) => !copies.some((c) => c.person === p.name);
        if (p.roles.includes("keykeeper") && without(period.outer_copies)) {
          lines.push(`${p.name} has no copy of the outer key of period ${i + 1}`);
        }
        if (p.roles.includes("operator") && without(period.inner_copies)) {
          lines.push(`${p.name} has no copy of the inner key of period ${i + 1}`);
        }
      }
    }
    return lines;
  }

  // dom.ts
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") {
        element.addEventListener(name.slice("on".length), value);
      } else if (value !== false) {
        element.setAttribute(name, value === true ? "" : value);
      }
    }
    element.append(...children);
    return element;
  }
  function byId(id) {
    const element = document.getElementById(id);
    if (element === null) {
      throw new Error(`the page has no element ${id}`);
    }
    return element;
  }
  function showError(where, error) {
    const message = error instanceof Error ? error.message : String(error);
    const remedy = error instanceof Error && "remedy" in error && typeof error.remedy === "string" ? error.remedy : "";
    where.replaceChildren(h("strong", { class: "error" }, sentence(message)));
    if (remedy !== "") {
      where.append(" ", h("span", {}, remedy));
    }
  }
  function sentence(text2) {
    return text2.charAt(0).toUpperCase() + text2.slice(1) + (/[.!?]$/.test(text2) ? "" : ".");
  }
  function action(label, status2, run, attributes = {}) {
    const button = h("button", { type: "button", ...attributes }, label);
    button.addEventListener("click", () => void press(button, status2, run));
    return button;
  }
  async function press(button, status2, run) {
    button.disabled = true;
    status2.replaceChildren();
    try {
      await run();
    } catch (error) {
      showError(status2, error);
    } finally {
      button.disabled = false;
    }
  }
  function field(label, input, help = "") {
    const id = input.id;
    const parts = [h("label", { for: id }, label), input];
    if (help !== "") {
      input.setAttribute("aria-describedby", `${id}-help`);
      parts.push(h("small", { id: `${id}-help` }, help));
    }
    return h("p", { class: "field" }, ...parts);
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
      enrolments: (answer.enrolments ?? []).map((e) => fromBase64(e.enrolment)),
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

  // time.ts
  function when(t) {
    return `${t.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  }

  // words.txt
  var words_default = "abandon\nability\nable\nabout\nabove\nabsent\nabsorb\nabstract\nabsurd\nabuse\naccess\naccident\naccount\naccuse\nachieve\nacid\nacoustic\nacquire\nacross\nact\naction\nactor\nactress\nactual\nadapt\nadd\naddict\naddress\nadjust\nadmit\nadult\nadvance\nadvice\naerobic\naffair\nafford\nafraid\nagain\nage\nagent\nagree\nahead\naim\nair\nairport\naisle\nalarm\nalbum\nalcohol\nalert\nalien\nall\nalley\nallow\nalmost\nalone\nalpha\nalready\nalso\nalter\nalways\namateur\namazing\namong\namount\namused\nanalyst\nanchor\nancient\nanger\nangle\nangry\nanimal\nankle\nannounce\nannual\nanother\nanswer\nantenna\nantique\nanxiety\nany\napart\napology\nappear\napple\napprove\napril\narch\narctic\narea\narena\nargue\narm\narmed\narmor\narmy\naround\narrange\narrest\narrive\narrow\nart\nartefact\nartist\nartwork\nask\naspect\nassault\nasset\nassist\nassume\nasthma\nathlete\natom\nattack\nattend\nattitude\nattract\nauction\naudit\naugust\naunt\nauthor\nauto\nautumn\naverage\navocado\navoid\nawake\naware\naway\nawesome\nawful\nawkward\naxis\nbaby\nbachelor\nbacon\nbadge\nbag\nbalance\nbalcony\nball\nbamboo\nbanana\nbanner\nbar\nbarely\nbargain\nbarrel\nbase\nbasic\nbasket\nbattle\nbeach\nbean\nbeauty\nbecause\nbecome\nbeef\nbefore\nbegin\nbehave\nbehind\nbelieve\nbelow\nbelt\nbench\nbenefit\nbest\nbetray\nbetter\nbetween\nbeyond\nbicycle\nbid\nbike\nbind\nbiology\nbird\nbirth\nbitter\nblack\nblade\nblame\nblanket\nblast\nbleak\nbless\nblind\nblood\nblossom\nblouse\nblue\nblur\nblush\nboard\nboat\nbody\nboil\nbomb\nbone\nbonus\nbook\nboost\nborder\nboring\nborrow\nboss\nbottom\nbounce\nbox\nboy\nbracket\nbrain\nbrand\nbrass\nbrave\nbread\nbreeze\nbrick\nbridge\nbrief\nbright\nbring\nbrisk\nbroccoli\nbroken\nbronze\nbroom\nbrother\nbrown\nbrush\nbubble\nbuddy\nbudget\nbuffalo\nbuild\nbulb\nbulk\nbullet\nbundle\nbunker\nburden\nburger\nburst\nbus\nbusiness\nbusy\nbutter\nbuyer\nbuzz\ncabbage\ncabin\ncable\ncactus\ncage\ncake\ncall\ncalm\ncamera\ncamp\ncan\ncanal\ncancel\ncandy\ncannon\ncanoe\ncanvas\ncanyon\ncapable\ncapital\ncaptain\ncar\ncarbon\ncard\ncargo\ncarpet\ncarry\ncart\ncase\ncash\ncasino\ncastle\ncasual\ncat\ncatalog\ncatch\ncategory\ncattle\ncaught\ncause\ncaution\ncave\nceiling\ncelery\ncement\ncensus\ncentury\ncereal\ncertain\nchair\nchalk\nchampion\nchange\nchaos\nchapter\ncharge\nchase\nchat\ncheap\ncheck\ncheese\nchef\ncherry\nchest\nchicken\nchief\nchild\nchimney\nchoice\nchoose\nchronic\nchuckle\nchunk\nchurn\ncigar\ncinnamon\ncircle\ncitizen\ncity\ncivil\nclaim\nclap\nclarify\nclaw\nclay\nclean\nclerk\nclever\nclick\nclient\ncliff\nclimb\nclinic\nclip\nclock\nclog\nclose\ncloth\ncloud\nclown\nclub\nclump\ncluster\nclutch\ncoach\ncoast\ncoconut\ncode\ncoffee\ncoil\ncoin\ncollect\ncolor\ncolumn\ncombine\ncome\ncomfort\ncomic\ncommon\ncompany\nconcert\nconduct\nconfirm\ncongress\nconnect\nconsider\ncontrol\nconvince\ncook\ncool\ncopper\ncopy\ncoral\ncore\ncorn\ncorrect\ncost\ncotton\ncouch\ncountry\ncouple\ncourse\ncousin\ncover\ncoyote\ncrack\ncradle\ncraft\ncram\ncrane\ncrash\ncrater\ncrawl\ncrazy\ncream\ncredit\ncreek\ncrew\ncricket\ncrime\ncrisp\ncritic\ncrop\ncross\ncrouch\ncrowd\ncrucial\ncruel\ncruise\ncrumble\ncrunch\ncrush\ncry\ncrystal\ncube\nculture\ncup\ncupboard\ncurious\ncurrent\ncurtain\ncurve\ncushion\ncustom\ncute\ncycle\ndad\ndamage\ndamp\ndance\ndanger\ndaring\ndash\ndaughter\ndawn\nday\ndeal\ndebate\ndebris\ndecade\ndecember\ndecide\ndecline\ndecorate\ndecrease\ndeer\ndefense\ndefine\ndefy\ndegree\ndelay\ndeliver\ndemand\ndemise\ndenial\ndentist\ndeny\ndepart\ndepend\ndeposit\ndepth\ndeputy\nderive\ndescribe\ndesert\ndesign\ndesk\ndespair\ndestroy\ndetail\ndetect\ndevelop\ndevice\ndevote\ndiagram\ndial\ndiamond\ndiary\ndice\ndiesel\ndiet\ndiffer\ndigital\ndignity\ndilemma\ndinner\ndinosaur\ndirect\ndirt\ndisagree\ndiscover\ndisease\ndish\ndismiss\ndisorder\ndisplay\ndistance\ndivert\ndivide\ndivorce\ndizzy\ndoctor\ndocument\ndog\ndoll\ndolphin\ndomain\ndonate\ndonkey\ndonor\ndoor\ndose\ndouble\ndove\ndraft\ndragon\ndrama\ndrastic\ndraw\ndream\ndress\ndrift\ndrill\ndrink\ndrip\ndrive\ndrop\ndrum\ndry\nduck\ndumb\ndune\nduring\ndust\ndutch\nduty\ndwarf\ndynamic\neager\neagle\nearly\nearn\nearth\neasily\neast\neasy\necho\necology\neconomy\nedge\nedit\neducate\neffort\negg\neight\neither\nelbow\nelder\nelectric\nelegant\nelement\nelephant\nelevator\nelite\nelse\nembark\nembody\nembrace\nemerge\nemotion\nemploy\nempower\nempty\nenable\nenact\nend\nendless\nendorse\nenemy\nenergy\nenforce\nengage\nengine\nenhance\nenjoy\nenlist\nenough\nenrich\nenroll\nensure\nenter\nentire\nentry\nenvelope\nepisode\nequal\nequip\nera\nerase\nerode\nerosion\nerror\nerupt\nescape\nessay\nessence\nestate\neternal\nethics\nevidence\nevil\nevoke\nevolve\nexact\nexample\nexcess\nexchange\nexcite\nexclude\nexcuse\nexecute\nexercise\nexhaust\nexhibit\nexile\nexist\nexit\nexotic\nexpand\nexpect\nexpire\nexplain\nexpose\nexpress\nextend\nextra\neye\neyebrow\nfabric\nface\nfaculty\nfade\nfaint\nfaith\nfall\nfalse\nfame\nfamily\nfamous\nfan\nfancy\nfantasy\nfarm\nfashion\nfat\nfatal\nfather\nfatigue\nfault\nfavorite\nfeature\nfebruary\nfederal\nfee\nfeed\nfeel\nfemale\nfence\nfestival\nfetch\nfever\nfew\nfiber\nfiction\nfield\nfigure\nfile\nfilm\nfilter\nfinal\nfind\nfine\nfinger\nfinish\nfire\nfirm\nfirst\nfiscal\nfish\nfit\nfitness\nfix\nflag\nflame\nflash\nflat\nflavor\nflee\nflight\nflip\nfloat\nflock\nfloor\nflower\nfluid\nflush\nfly\nfoam\nfocus\nfog\nfoil\nfold\nfollow\nfood\nfoot\nforce\nforest\nforget\nfork\nfortune\nforum\nforward\nfossil\nfoster\nfound\nfox\nfragile\nframe\nfrequent\nfresh\nfriend\nfringe\nfrog\nfront\nfrost\nfrown\nfrozen\nfruit\nfuel\nfun\nfunny\nfurnace\nfury\nfuture\ngadget\ngain\ngalaxy\ngallery\ngame\ngap\ngarage\ngarbage\ngarden\ngarlic\ngarment\ngas\ngasp\ngate\ngather\ngauge\ngaze\ngeneral\ngenius\ngenre\ngentle\ngenuine\ngesture\nghost\ngiant\ngift\ngiggle\nginger\ngiraffe\ngirl\ngive\nglad\nglance\nglare\nglass\nglide\nglimpse\nglobe\ngloom\nglory\nglove\nglow\nglue\ngoat\ngoddess\ngold\ngood\ngoose\ngorilla\ngospel\ngossip\ngovern\ngown\ngrab\ngrace\ngrain\ngrant\ngrape\ngrass\ngravity\ngreat\ngreen\ngrid\ngrief\ngrit\ngrocery\ngroup\ngrow\ngrunt\nguard\nguess\nguide\nguilt\nguitar\ngun\ngym\nhabit\nhair\nhalf\nhammer\nhamster\nhand\nhappy\nharbor\nhard\nharsh\nharvest\nhat\nhave\nhawk\nhazard\nhead\nhealth\nheart\nheavy\nhedgehog\nheight\nhello\nhelmet\nhelp\nhen\nhero\nhidden\nhigh\nhill\nhint\nhip\nhire\nhistory\nhobby\nhockey\nhold\nhole\nholiday\nhollow\nhome\nhoney\nhood\nhope\nhorn\nhorror\nhorse\nhospital\nhost\nhotel\nhour\nhover\nhub\nhuge\nhuman\nhumble\nhumor\nhundred\nhungry\nhunt\nhurdle\nhurry\nhurt\nhusband\nhybrid\nice\nicon\nidea\nidentify\nidle\nignore\nill\nillegal\nillness\nimage\nimitate\nimmense\nimmune\nimpact\nimpose\nimprove\nimpulse\ninch\ninclude\nincome\nincrease\nindex\nindicate\nindoor\nindustry\ninfant\ninflict\ninform\ninhale\ninherit\ninitial\ninject\ninjury\ninmate\ninner\ninnocent\ninput\ninquiry\ninsane\ninsect\ninside\ninspire\ninstall\nintact\ninterest\ninto\ninvest\ninvite\ninvolve\niron\nisland\nisolate\nissue\nitem\nivory\njacket\njaguar\njar\njazz\njealous\njeans\njelly\njewel\njob\njoin\njoke\njourney\njoy\njudge\njuice\njump\njungle\njunior\njunk\njust\nkangaroo\nkeen\nkeep\nketchup\nkey\nkick\nkid\nkidney\nkind\nkingdom\nkiss\nkit\nkitchen\nkite\nkitten\nkiwi\nknee\nknife\nknock\nknow\nlab\nlabel\nlabor\nladder\nlady\nlake\nlamp\nlanguage\nlaptop\nlarge\nlater\nlatin\nlaugh\nlaundry\nlava\nlaw\nlawn\nlawsuit\nlayer\nlazy\nleader\nleaf\nlearn\nleave\nlecture\nleft\nleg\nlegal\nlegend\nleisure\nlemon\nlend\nlength\nlens\nleopard\nlesson\nletter\nlevel\nliar\nliberty\nlibrary\nlicense\nlife\nlift\nlight\nlike\nlimb\nlimit\nlink\nlion\nliquid\nlist\nlittle\nlive\nlizard\nload\nloan\nlobster\nlocal\nlock\nlogic\nlonely\nlong\nloop\nlottery\nloud\nlounge\nlove\nloyal\nlucky\nluggage\nlumber\nlunar\nlunch\nluxury\nlyrics\nmachine\nmad\nmagic\nmagnet\nmaid\nmail\nmain\nmajor\nmake\nmammal\nman\nmanage\nmandate\nmango\nmansion\nmanual\nmaple\nmarble\nmarch\nmargin\nmarine\nmarket\nmarriage\nmask\nmass\nmaster\nmatch\nmaterial\nmath\nmatrix\nmatter\nmaximum\nmaze\nmeadow\nmean\nmeasure\nmeat\nmechanic\nmedal\nmedia\nmelody\nmelt\nmember\nmemory\nmention\nmenu\nmercy\nmerge\nmerit\nmerry\nmesh\nmessage\nmetal\nmethod\nmiddle\nmidnight\nmilk\nmillion\nmimic\nmind\nminimum\nminor\nminute\nmiracle\nmirror\nmisery\nmiss\nmistake\nmix\nmixed\nmixture\nmobile\nmodel\nmodify\nmom\nmoment\nmonitor\nmonkey\nmonster\nmonth\nmoon\nmoral\nmore\nmorning\nmosquito\nmother\nmotion\nmotor\nmountain\nmouse\nmove\nmovie\nmuch\nmuffin\nmule\nmultiply\nmuscle\nmuseum\nmushroom\nmusic\nmust\nmutual\nmyself\nmystery\nmyth\nnaive\nname\nnapkin\nnarrow\nnasty\nnation\nnature\nnear\nneck\nneed\nnegative\nneglect\nneither\nnephew\nnerve\nnest\nnet\nnetwork\nneutral\nnever\nnews\nnext\nnice\nnight\nnoble\nnoise\nnominee\nnoodle\nnormal\nnorth\nnose\nnotable\nnote\nnothing\nnotice\nnovel\nnow\nnuclear\nnumber\nnurse\nnut\noak\nobey\nobject\noblige\nobscure\nobserve\nobtain\nobvious\noccur\nocean\noctober\nodor\noff\noffer\noffice\noften\noil\nokay\nold\nolive\nolympic\nomit\nonce\none\nonion\nonline\nonly\nopen\nopera\nopinion\noppose\noption\norange\norbit\norchard\norder\nordinary\norgan\norient\noriginal\norphan\nostrich\nother\noutdoor\nouter\noutput\noutside\noval\noven\nover\nown\nowner\noxygen\noyster\nozone\npact\npaddle\npage\npair\npalace\npalm\npanda\npanel\npanic\npanther\npaper\nparade\nparent\npark\nparrot\nparty\npass\npatch\npath\npatient\npatrol\npattern\npause\npave\npayment\npeace\npeanut\npear\npeasant\npelican\npen\npenalty\npencil\npeople\npepper\nperfect\npermit\nperson\npet\nphone\nphoto\nphrase\nphysical\npiano\npicnic\npicture\npiece\npig\npigeon\npill\npilot\npink\npioneer\npipe\npistol\npitch\npizza\nplace\nplanet\nplastic\nplate\nplay\nplease\npledge\npluck\nplug\nplunge\npoem\npoet\npoint\npolar\npole\npolice\npond\npony\npool\npopular\nportion\nposition\npossible\npost\npotato\npottery\npoverty\npowder\npower\npractice\npraise\npredict\nprefer\nprepare\npresent\npretty\nprevent\nprice\npride\nprimary\nprint\npriority\nprison\nprivate\nprize\nproblem\nprocess\nproduce\nprofit\nprogram\nproject\npromote\nproof\nproperty\nprosper\nprotect\nproud\nprovide\npublic\npudding\npull\npulp\npulse\npumpkin\npunch\npupil\npuppy\npurchase\npurity\npurpose\npurse\npush\nput\npuzzle\npyramid\nquality\nquantum\nquarter\nquestion\nquick\nquit\nquiz\nquote\nrabbit\nraccoon\nrace\nrack\nradar\nradio\nrail\nrain\nraise\nrally\nramp\nranch\nrandom\nrange\nrapid\nrare\nrate\nrather\nraven\nraw\nrazor\nready\nreal\nreason\nrebel\nrebuild\nrecall\nreceive\nrecipe\nrecord\nrecycle\nreduce\nreflect\nreform\nrefuse\nregion\nregret\nregular\nreject\nrelax\nrelease\nrelief\nrely\nremain\nremember\nremind\nremove\nrender\nrenew\nrent\nreopen\nrepair\nrepeat\nreplace\nreport\nrequire\nrescue\nresemble\nresist\nresource\nresponse\nresult\nretire\nretreat\nreturn\nreunion\nreveal\nreview\nreward\nrhythm\nrib\nribbon\nrice\nrich\nride\nridge\nrifle\nright\nrigid\nring\nriot\nripple\nrisk\nritual\nrival\nriver\nroad\nroast\nrobot\nrobust\nrocket\nromance\nroof\nrookie\nroom\nrose\nrotate\nrough\nround\nroute\nroyal\nrubber\nrude\nrug\nrule\nrun\nrunway\nrural\nsad\nsaddle\nsadness\nsafe\nsail\nsalad\nsalmon\nsalon\nsalt\nsalute\nsame\nsample\nsand\nsatisfy\nsatoshi\nsauce\nsausage\nsave\nsay\nscale\nscan\nscare\nscatter\nscene\nscheme\nschool\nscience\nscissors\nscorpion\nscout\nscrap\nscreen\nscript\nscrub\nsea\nsearch\nseason\nseat\nsecond\nsecret\nsection\nsecurity\nseed\nseek\nsegment\nselect\nsell\nseminar\nsenior\nsense\nsentence\nseries\nservice\nsession\nsettle\nsetup\nseven\nshadow\nshaft\nshallow\nshare\nshed\nshell\nsheriff\nshield\nshift\nshine\nship\nshiver\nshock\nshoe\nshoot\nshop\nshort\nshoulder\nshove\nshrimp\nshrug\nshuffle\nshy\nsibling\nsick\nside\nsiege\nsight\nsign\nsilent\nsilk\nsilly\nsilver\nsimilar\nsimple\nsince\nsing\nsiren\nsister\nsituate\nsix\nsize\nskate\nsketch\nski\nskill\nskin\nskirt\nskull\nslab\nslam\nsleep\nslender\nslice\nslide\nslight\nslim\nslogan\nslot\nslow\nslush\nsmall\nsmart\nsmile\nsmoke\nsmooth\nsnack\nsnake\nsnap\nsniff\nsnow\nsoap\nsoccer\nsocial\nsock\nsoda\nsoft\nsolar\nsoldier\nsolid\nsolution\nsolve\nsomeone\nsong\nsoon\nsorry\nsort\nsoul\nsound\nsoup\nsource\nsouth\nspace\nspare\nspatial\nspawn\nspeak\nspecial\nspeed\nspell\nspend\nsphere\nspice\nspider\nspike\nspin\nspirit\nsplit\nspoil\nsponsor\nspoon\nsport\nspot\nspray\nspread\nspring\nspy\nsquare\nsqueeze\nsquirrel\nstable\nstadium\nstaff\nstage\nstairs\nstamp\nstand\nstart\nstate\nstay\nsteak\nsteel\nstem\nstep\nstereo\nstick\nstill\nsting\nstock\nstomach\nstone\nstool\nstory\nstove\nstrategy\nstreet\nstrike\nstrong\nstruggle\nstudent\nstuff\nstumble\nstyle\nsubject\nsubmit\nsubway\nsuccess\nsuch\nsudden\nsuffer\nsugar\nsuggest\nsuit\nsummer\nsun\nsunny\nsunset\nsuper\nsupply\nsupreme\nsure\nsurface\nsurge\nsurprise\nsurround\nsurvey\nsuspect\nsustain\nswallow\nswamp\nswap\nswarm\nswear\nsweet\nswift\nswim\nswing\nswitch\nsword\nsymbol\nsymptom\nsyrup\nsystem\ntable\ntackle\ntag\ntail\ntalent\ntalk\ntank\ntape\ntarget\ntask\ntaste\ntattoo\ntaxi\nteach\nteam\ntell\nten\ntenant\ntennis\ntent\nterm\ntest\ntext\nthank\nthat\ntheme\nthen\ntheory\nthere\nthey\nthing\nthis\nthought\nthree\nthrive\nthrow\nthumb\nthunder\nticket\ntide\ntiger\ntilt\ntimber\ntime\ntiny\ntip\ntired\ntissue\ntitle\ntoast\ntobacco\ntoday\ntoddler\ntoe\ntogether\ntoilet\ntoken\ntomato\ntomorrow\ntone\ntongue\ntonight\ntool\ntooth\ntop\ntopic\ntopple\ntorch\ntornado\ntortoise\ntoss\ntotal\ntourist\ntoward\ntower\ntown\ntoy\ntrack\ntrade\ntraffic\ntragic\ntrain\ntransfer\ntrap\ntrash\ntravel\ntray\ntreat\ntree\ntrend\ntrial\ntribe\ntrick\ntrigger\ntrim\ntrip\ntrophy\ntrouble\ntruck\ntrue\ntruly\ntrumpet\ntrust\ntruth\ntry\ntube\ntuition\ntumble\ntuna\ntunnel\nturkey\nturn\nturtle\ntwelve\ntwenty\ntwice\ntwin\ntwist\ntwo\ntype\ntypical\nugly\numbrella\nunable\nunaware\nuncle\nuncover\nunder\nundo\nunfair\nunfold\nunhappy\nuniform\nunique\nunit\nuniverse\nunknown\nunlock\nuntil\nunusual\nunveil\nupdate\nupgrade\nuphold\nupon\nupper\nupset\nurban\nurge\nusage\nuse\nused\nuseful\nuseless\nusual\nutility\nvacant\nvacuum\nvague\nvalid\nvalley\nvalve\nvan\nvanish\nvapor\nvarious\nvast\nvault\nvehicle\nvelvet\nvendor\nventure\nvenue\nverb\nverify\nversion\nvery\nvessel\nveteran\nviable\nvibrant\nvicious\nvictory\nvideo\nview\nvillage\nvintage\nviolin\nvirtual\nvirus\nvisa\nvisit\nvisual\nvital\nvivid\nvocal\nvoice\nvoid\nvolcano\nvolume\nvote\nvoyage\nwage\nwagon\nwait\nwalk\nwall\nwalnut\nwant\nwarfare\nwarm\nwarrior\nwash\nwasp\nwaste\nwater\nwave\nway\nwealth\nweapon\nwear\nweasel\nweather\nweb\nwedding\nweekend\nweird\nwelcome\nwest\nwet\nwhale\nwhat\nwheat\nwheel\nwhen\nwhere\nwhip\nwhisper\nwide\nwidth\nwife\nwild\nwill\nwin\nwindow\nwine\nwing\nwink\nwinner\nwinter\nwire\nwisdom\nwise\nwish\nwitness\nwolf\nwoman\nwonder\nwood\nwool\nword\nwork\nworld\nworry\nworth\nwrap\nwreck\nwrestle\nwrist\nwrite\nwrong\nyard\nyear\nyellow\nyou\nyoung\nyouth\nzebra\nzero\nzone\nzoo\n";

  // words.ts
  var all = words_default.trim().split("\n");
  function wordsOf(digest) {
    const words = [];
    for (let bit = 0; bit < 88; bit += 11) {
      const at = bit >> 3;
      const three = (digest[at] ?? 0) << 16 | (digest[at + 1] ?? 0) << 8 | (digest[at + 2] ?? 0);
      words.push(all[three >> 13 - (bit & 7) & 2047] ?? "");
    }
    return words.join(" ");
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
  function ended(panel, text2, ...more) {
    panel.replaceChildren(h("p", { class: "ended" }, h("strong", {}, text2), " ", ...more, " ", again()));
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
    const reason = await unfit(e.roster, e.bytes, p.next);
    if (reason !== "") {
      throw new ProposalError(`This version cannot follow: ${reason}.`);
    }
    const voters = founded(e.roster) ? e.roster : p.next;
    const roles2 = p.agreed.flatMap((name) => personOf(voters, name)?.roles ?? []);
    if (!renewed(e.roster, p.next).every((role) => roles2.includes(role))) {
      throw new ProposalError(
        "It begins a role key that nobody of that role has proposed: whoever made it knows it. If somebody has objected since it was proposed, whoever made the key proposes it anew."
      );
    }
    const self = personOf(p.next, e.me);
    if (self === void 0 || e.self !== void 0 && sameKeys(e.self, self)) {
      return "";
    }
    for (const bytes of e.enrolments) {
      const enrolment = read("an enrolment", bytes);
      if (spellWithin(enrolment.person) === spellWithin(self)) {
        return wordsOf(await sha256(bytes));
      }
    }
    throw new ProposalError("You do not stand in it as you have enrolled: these may be the keys of somebody else.");
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
})();
