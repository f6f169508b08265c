"use strict";
(() => {
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
      const text = await answer.text();
      if (!answer.ok) {
        throw problem(answer.status, text);
      }
      return text === "" ? {} : JSON.parse(text);
    }
  };
  function problem(status2, text) {
    let told = {};
    try {
      told = JSON.parse(text);
    } catch {
    }
    const error = typeof told.error === "string" && told.error !== "" ? told.error : `The safe answered with status ${status2}.`;
    const remedy = typeof told.remedy === "string" ? told.remedy : "";
    return new Problem(status2, error, remedy || (status2 === 401 ? "Sign in again." : ""));
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
  function sentence(text) {
    return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
  }
  async function press(button2, status2, run) {
    button2.disabled = true;
    status2.replaceChildren();
    try {
      await run();
    } catch (error) {
      showError(status2, error);
    } finally {
      button2.disabled = false;
    }
  }

  // base64.ts
  function toBase64(b) {
    let text = "";
    for (let at = 0; at < b.length; at += 32768) {
      text += String.fromCharCode(...b.subarray(at, at + 32768));
    }
    return btoa(text);
  }
  function fromBase64(text) {
    let raw;
    try {
      raw = atob(text);
    } catch {
      throw new Error("what should be base64 is not");
    }
    if (btoa(raw) !== text) {
      throw new Error("what should be base64 is not in its one spelling");
    }
    return Uint8Array.from(raw, (c) => c.charCodeAt(0));
  }
  function toBase64url(b) {
    return toBase64(b).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }
  function fromBase64url(text) {
    if (/[^A-Za-z0-9_-]/.test(text)) {
      throw new Error("what should be base64url is not");
    }
    const standard = text.replaceAll("-", "+").replaceAll("_", "/");
    return fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
  }
  function utf8(text) {
    return new TextEncoder().encode(text);
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
  async function sha256(b) {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", b));
  }

  // statement.ts
  var signInNamespace = "strongroom/v1/sign-in";
  function challenge(namespace, message) {
    return sha256(concat(utf8(namespace + "\n"), message));
  }
  function signInMessage(store, nonce) {
    return concat(utf8(store + "\n"), nonce);
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
  async function signWithAny(domain, challenge2) {
    return (await get(domain, [], challenge2)).assertion;
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

  // session.ts
  async function signIn(safe) {
    checkBrowser();
    const begun = await safe.post("/v1/sign-in/begin");
    const message = signInMessage(begun.store, fromBase64url(begun.nonce));
    const assertion = await signWithAny(begun.domain, await challenge(signInNamespace, message));
    const answer = await safe.post("/v1/sign-in", { nonce: begun.nonce, assertion: assertionText(assertion) });
    if (answer.session !== void 0) {
      safe.useSession(answer.session);
    }
  }

  // signin.ts
  var button = byId("sign-in-button");
  var status = byId("sign-in-status");
  button.addEventListener("click", () => {
    void press(button, status, async () => {
      status.textContent = "Touch your passkey when your device asks for it.";
      await signIn(new Safe());
      location.assign(destination());
    });
  });
  function destination() {
    const url = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
    return url.origin === location.origin ? url.href : "/";
  }
})();
