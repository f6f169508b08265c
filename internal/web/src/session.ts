// Signing in: a touch of any passkey that the safe knows.

import type { Safe } from "./api.ts";
import { type Bytes, fromBase64url } from "./base64.ts";
import { checkSafe, type Pin } from "./pin.ts";
import { challenge, signInMessage, signInNamespace } from "./statement.ts";
import { assertionText, checkBrowser, signWithAny } from "./webauthn.ts";

/**
 * Signs in at the safe; a page on another host, whose pin that is, at its safe
 * alone. Returns the id of the passkey that was touched.
 */
export async function signIn(safe: Safe, pin?: Pin): Promise<Bytes> {
  checkBrowser();
  const begun = await safe.post<{ nonce: string; store: string; domain: string }>("/v1/sign-in/begin");
  if (pin !== undefined) {
    checkSafe(pin, begun);
  }
  const message = signInMessage(begun.store, fromBase64url(begun.nonce));
  const assertion = await signWithAny(begun.domain, await challenge(signInNamespace, message));
  const answer = await safe.post<{ session?: string }>("/v1/sign-in", { nonce: begun.nonce, assertion: assertionText(assertion) });
  if (answer.session !== undefined) {
    safe.useSession(answer.session);
  }
  return assertion.credential;
}
