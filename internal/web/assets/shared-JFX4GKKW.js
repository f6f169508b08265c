var __defProp = Object.defineProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};

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
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
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
var releaseNamespace = "strongroom/v1/release";
var signInNamespace = "strongroom/v1/sign-in";
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
function refuse(opening, reason) {
  return { act: "opening.refuse", what: { opening, reason: text(reason) } };
}
function close(opening, reason) {
  return { act: "opening.close", what: { opening, reason: text(reason) } };
}
function rule(a) {
  return { act: "map.rule", what: { verdict: a.verdict, from: text(a.from), to: text(a.to), need: text(a.need), reason: text(a.reason) } };
}
function takeBack(a) {
  return { act: "map.take-back", what: { entry: a.entry, reason: text(a.reason) } };
}
function statement(store, person, time, a) {
  return spell({ v: 1, store, act: a.act, person, time: spellTime(time), what: a.what });
}
function challenge(namespace, message) {
  return sha256(concat(utf8(namespace + "\n"), message));
}
function signInMessage(store, nonce) {
  return concat(utf8(store + "\n"), nonce);
}
function releaseMessage(nonce, grant) {
  return concat(nonce, grant);
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
function passkeyName(p) {
  return p.use === "release" ? `${p.safe} SAFE KEY, do not delete` : `${p.person} at ${p.safe}`;
}
async function register(p) {
  checkBrowser();
  const user = crypto.getRandomValues(new Uint8Array(16));
  const options = {
    rp: { id: p.domain, name: `Strongroom ${p.safe}` },
    user: { id: user, name: passkeyName(p), displayName: p.fullName || p.person },
    challenge: p.challenge,
    pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })),
    // ES256, Ed25519, RS256
    authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
    attestation: "none",
    timeout
  };
  if (p.wraps) {
    options.extensions = { prf: { eval: { first: crypto.getRandomValues(new Uint8Array(32)) } } };
  }
  const made = await asking(() => navigator.credentials.create({ publicKey: options }));
  const response = made.response;
  const credential = new Uint8Array(made.rawId);
  if (p.wraps && made.getClientExtensionResults().prf?.enabled !== true) {
    await forget(p.domain, credential);
    throw noPRF();
  }
  const data = parseAuthenticatorData(new Uint8Array(response.getAuthenticatorData()));
  checkVerified(data);
  if (data.credential === void 0 || data.publicKey === void 0 || !equal(data.credential, credential)) {
    throw new Error("the authenticator made a passkey and does not say which");
  }
  return {
    use: p.use,
    credential,
    attestationObject: new Uint8Array(response.attestationObject),
    clientDataJSON: new Uint8Array(response.clientDataJSON),
    key: `passkey ${toBase64url(credential)} ${toBase64url(data.publicKey)}`,
    synced: data.synced
  };
}
async function signWithAny(domain, challenge2) {
  return (await get(domain, [], challenge2)).assertion;
}
async function sign(domain, credentials, challenge2) {
  return (await get(domain, credentials, challenge2)).assertion;
}
async function signAndEvaluate(domain, credential, challenge2, nonce) {
  const { assertion, results } = await get(domain, [credential], challenge2, prfInputs(nonce));
  if (results?.first === void 0 || results.second === void 0) {
    throw new PasskeyError(
      "no-prf",
      "The passkey signed, but did not open what it keeps: this device or this browser lacks the extension PRF.",
      `Use the device and the browser with which you made the passkey, and do not delete it. Nothing was sent. ${whatWorks} If yours cannot be used now, another keykeeper can release.`
    );
  }
  return { assertion, results };
}
function prfInputs(nonce) {
  const label = utf8("age-encryption.org/fido2prf");
  return { first: concat(label, Uint8Array.of(1), nonce), second: concat(label, Uint8Array.of(2), nonce) };
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
function noPRF() {
  return new PasskeyError(
    "no-prf",
    "This authenticator made a passkey that cannot keep a key: it lacks the extension PRF.",
    `Take another authenticator or browser, and delete the passkey that was just made. ${whatWorks} Windows Hello and passkeys in other password managers often cannot; an iPhone or Android phone can be used from this computer with its QR code.`
  );
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
async function forget(domain, credential) {
  const signal = PublicKeyCredential.signalUnknownCredential;
  try {
    await signal?.call(PublicKeyCredential, { rpId: domain, credentialId: toBase64url(credential) });
  } catch {
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

export {
  __export,
  toBase64,
  fromBase64,
  toBase64url,
  fromBase64url,
  utf8,
  concat,
  equal,
  sha256,
  toHex,
  actNamespace,
  releaseNamespace,
  signInNamespace,
  spellWithin,
  spell,
  read,
  spellTime,
  text,
  agree,
  object,
  suspend,
  refuse,
  close,
  rule,
  takeBack,
  statement,
  challenge,
  signInMessage,
  releaseMessage,
  PasskeyError,
  assertionText,
  checkBrowser,
  register,
  signWithAny,
  sign,
  signAndEvaluate
};
