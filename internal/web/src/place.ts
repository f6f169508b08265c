// What the parts of the page "People" share.

import { signAct, type Signed, type Signer, signerOf } from "./acting.ts";
import type { Safe } from "./api.ts";
import { type Bytes, sha256, toBase64, toHex } from "./base64.ts";
import { changes } from "./changes.ts";
import { encodeRoster } from "./compose.ts";
import { openCopies, type OuterKeys } from "./copies.ts";
import { action, h } from "./dom.ts";
import { type Everyone, type Proposal, suspendedKeys } from "./everyone.ts";
import { unwrap } from "./keys.ts";
import { askKeyring, type Keyring, passkeyOf } from "./keyring.ts";
import { type Drawn, ended } from "./redraw.ts";
import { type Person, readRoster, type Roster, unfit } from "./roster.ts";
import { type Act, agree } from "./statement.ts";
import { wordsOf } from "./words.ts";

/** The page, who is at it, and everybody as the safe tells of them. */
export interface Place extends Drawn {
  safe: Safe;
  everyone: Everyone;
}

/** Somebody of the roster at a page. */
export interface Member extends Place {
  self: Person;
  signer: Signer;
  keyring: Keyring | undefined; // of a keykeeper
}

export async function memberAt(at: Place, self: Person): Promise<Member> {
  const e = at.everyone;
  const keykeeper = self.roles.includes("keykeeper");
  return {
    ...at,
    self,
    signer: signerOf(e.store, self, e.roster.domain ?? "", suspendedKeys(e, e.me)),
    keyring: keykeeper ? await askKeyring(at.safe, e.store, e.me) : undefined,
  };
}

export function signs(m: Member, act: Act): Promise<Signed> {
  return signAct(m.signer, act);
}

/** Unwraps the personal key with one touch, and opens the copies of all outer keys with it. */
export async function openOuterKeys(m: Member): Promise<OuterKeys> {
  const { roster, me } = m.everyone;
  if (m.keyring === undefined) {
    throw new Error("Your passkey keeps no key of this safe: use a terminal, or enrol anew with this device.");
  }
  const personal = await unwrap("personal", m.keyring.personal, passkeyOf(m.keyring, roster.domain ?? ""), m.self.key ?? "");
  return openCopies(roster.periods, me, personal);
}

/** The digest of the roster in force. */
export async function digestOf(b: Bytes): Promise<string> {
  return toHex(await sha256(b));
}

// What becomes of a version that waits when another is proposed.
function beside({ me }: Everyone, p: Proposal): string {
  const others = p.agreed.filter((name) => name !== me);
  if (p.by !== me) {
    return `version ${p.next.n}, which ${p.by} has proposed, waits, too. Once one of the two is in force, the other is dropped.`;
  }
  const agreed = others.length === 0 ? "" : ` What ${others.join(" and ")} agreed on counts no more, and the wait begins anew.`;
  return `version ${p.next.n}, which you have proposed before, is dropped by this.${agreed}`;
}

/**
 * Shows what a version changes that was composed here, and proposes it with a
 * touch. What it shows is read of the bytes that are signed.
 */
export async function offerProposal(m: Member, panel: HTMLElement, composed: Roster): Promise<void> {
  const bytes = encodeRoster(composed);
  const next = readRoster(bytes);
  const e = m.everyone;
  const lines = await changes(e.roster, next);
  const reason = lines.length === 0 ? "it would change nothing" : await unfit(e.roster, e.bytes, next);
  if (reason !== "") {
    throw new Error(`Such a version cannot be proposed: ${reason}.`);
  }
  const propose = action("Propose it with your passkey", m.status, async () => {
    const signed = await signs(m, agree({ n: next.n, digest: await digestOf(bytes), after: 0 }));
    await m.safe.post("/v1/roster/propose", { roster: toBase64(bytes), signed });
    await ended(m, `You have proposed version ${next.n}. Its words: ${wordsOf(await sha256(bytes))}.`, "An operator calls you, has them read by you, and agrees.");
  }, { class: "first" });
  panel.replaceChildren(
    h("p", {}, `Version ${next.n} of the roster:`),
    h("ul", { class: "list" }, ...lines.map((line) => h("li", {}, h("bdi", {}, line)))),
    ...e.proposals.map((p) => h("p", { class: "beside" }, h("span", { class: "note" }, "Note: "), beside(e, p))),
    h("p", { class: "actions" }, propose),
  );
  propose.focus();
}
