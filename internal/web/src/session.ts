// Signing in: a touch of any passkey that the safe knows.

import type { Safe } from "./api.ts";
import { fromBase64url } from "./base64.ts";
import { challenge, signInNamespace } from "./statement.ts";
import { assertionText, checkBrowser, signWithAny } from "./webauthn.ts";

export async function signIn(safe: Safe): Promise<void> {
  checkBrowser();
  const begun = await safe.post<{ nonce: string; domain: string }>("/v1/sign-in/begin");
  const assertion = await signWithAny(begun.domain, await challenge(signInNamespace, fromBase64url(begun.nonce)));
  const answer = await safe.post<{ session?: string }>("/v1/sign-in", { nonce: begun.nonce, assertion: assertionText(assertion) });
  if (answer.session !== undefined) {
    safe.useSession(answer.session);
  }
}
