import {
  Trouble,
  tellColleagues
} from "./shared-CXLUVPZO.js";
import {
  assertionText,
  challenge,
  checkBrowser,
  fromBase64url,
  sha256,
  signInMessage,
  signInNamespace,
  signWithAny,
  toHex
} from "./shared-JFX4GKKW.js";

// pin.ts
function pinOf({ dataset }) {
  const { safe, store, domain, roster, version } = dataset;
  if (safe === void 0) {
    return void 0;
  }
  if (!store || !domain || !roster || !version) {
    throw new Trouble("This page does not say which safe it is for.", "It was not written by strongroom web export, or was changed: have it written anew.");
  }
  return { safe, store, domain, roster, version: Number(version) };
}
function checkSafe(pin, answer) {
  if (answer.store !== pin.store || answer.domain !== pin.domain) {
    throw new Trouble(
      `At ${pin.safe} answers another safe than the one that this page is for: store ${answer.store} with passkeys of ${answer.domain || "no domain"}, not store ${pin.store} of ${pin.domain}.`,
      tellColleagues
    );
  }
}
async function checkRoster(pin, roster, version) {
  if (toHex(await sha256(roster)) === pin.roster) {
    return;
  }
  if (version > pin.version) {
    throw new Trouble(
      `The safe says that version ${version} of its roster is in force. This page was written for version ${pin.version}, and cannot tell whether that is so.`,
      "Have it written anew (strongroom web export) by somebody whose program verifies the roster. Until then release from a terminal: strongroom opening release."
    );
  }
  throw new Trouble(`The safe shows another roster than version ${pin.version}, for which this page was written.`, tellColleagues);
}

// session.ts
async function signIn(safe, pin) {
  checkBrowser();
  const begun = await safe.post("/v1/sign-in/begin");
  if (pin !== void 0) {
    checkSafe(pin, begun);
  }
  const message = signInMessage(begun.store, fromBase64url(begun.nonce));
  const assertion = await signWithAny(begun.domain, await challenge(signInNamespace, message));
  const answer = await safe.post("/v1/sign-in", { nonce: begun.nonce, assertion: assertionText(assertion) });
  if (answer.session !== void 0) {
    safe.useSession(answer.session);
  }
  return assertion.credential;
}

export {
  pinOf,
  checkSafe,
  checkRoster,
  signIn
};
