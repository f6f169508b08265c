import {
  Trouble,
  tellColleagues
} from "./shared-CXLUVPZO.js";
import {
  equal,
  fromBase64,
  fromBase64url,
  spell,
  spellTime,
  toBase64,
  toBase64url
} from "./shared-JFX4GKKW.js";

// keyring.ts
function encodeKeyring(k) {
  const periods = [...k.periods].sort(([a], [b]) => a - b).map(([n, sealed]) => ({ n, sealed: toBase64(sealed) }));
  return spell({
    v: 1,
    store: k.store,
    person: k.person,
    passkey: toBase64url(k.credential),
    time: spellTime(k.time),
    personal: toBase64(k.personal),
    periods
  });
}
async function askKeyring(safe, store, person) {
  const kept = await safe.get("/v1/keyring");
  const keyring = kept.keyring === void 0 ? void 0 : parseKeyring(fromBase64(kept.keyring));
  if (keyring !== void 0 && (keyring.store !== store || keyring.person !== person)) {
    throw new Trouble("The safe hands out another person's keyring.", tellColleagues);
  }
  return keyring;
}
function parseKeyring(b) {
  try {
    const s = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b));
    const keyring = {
      store: s.store,
      person: s.person,
      credential: fromBase64url(s.passkey),
      time: new Date(s.time),
      personal: fromBase64(s.personal),
      periods: new Map(s.periods.map((p) => [p.n, fromBase64(p.sealed)]))
    };
    if (equal(encodeKeyring(keyring), b)) {
      return keyring;
    }
  } catch {
  }
  throw new Trouble(
    "The safe's copy of your keyring cannot be read: it is of another version, or damaged.",
    "Load this page anew; one that lies on another host than the safe's has to be of the safe's version (strongroom web export). If that does not help, use a terminal with your key from paper, or have another keykeeper act. Then enrol anew with this device: that makes a new keyring."
  );
}
function passkeyOf(k, domain) {
  return { domain, credential: k.credential };
}

export {
  encodeKeyring,
  askKeyring,
  passkeyOf
};
