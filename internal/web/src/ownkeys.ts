// A keykeeper's own keys on the page "People": proving that they still open,
// keeping the key of a period under the passkey by itself, giving colleagues the
// copies that they lack, and beginning a period.

import { fromBase64 } from "./base64.ts";
import { add, renew } from "./compose.ts";
import { keepUnderPasskey, type OuterKeys } from "./copies.ts";
import { action, byId, h } from "./dom.ts";
import { answerOuterProof } from "./keys.ts";
import type { Keyring } from "./keyring.ts";
import { digestOf, type Member, offerProposal, openOuterKeys } from "./place.ts";
import { ended } from "./redraw.ts";
import type { Period, Roster } from "./roster.ts";

/** Fills the section of the keys. */
export function offerKeys(m: Member, panel: HTMLElement): void {
  const { roster, bytes, me } = m.everyone;
  const parts: HTMLElement[] = [];
  const offer = (text: string, label: string, id: string, run: () => Promise<void>) => {
    parts.push(h("p", {}, text), h("p", { class: "actions" }, action(label, m.status, run, { id, ...(parts.length === 0 ? { class: "first" } : {}) })));
  };
  if (m.keyring !== undefined && roster.periods.some((p) => p.outer_copies?.some((c) => c.person === me))) {
    offer(
      "Every 60 days: one touch shows that your keys still open what they should. They do not leave this page.",
      "Check your keys",
      "check-keys",
      () => check(m),
    );
    const without = lacking(roster, me);
    if (without.length > 0) {
      offer(`${without.join(", ")}: some copies of the outer keys are missing. One touch opens yours and seals them once more, another one proposes it.`, "Give the missing copies", "give-copies", async () => {
        await offerProposal(m, panel, await add(roster, await digestOf(bytes), [], await openOuterKeys(m), [], new Date()));
      });
    }
  }
  offer(
    "Once a year, or when the outer key may have been seen: a new one, from now on. It is made here, and sealed to every keykeeper. Old snapshots stay sealed to the old keys.",
    "Begin a new period",
    "new-period",
    async () => offerProposal(m, panel, await renew(roster, await digestOf(bytes), new Date())),
  );
  panel.replaceChildren(...parts);
}

// The keykeepers who have no copy of an outer key of which this one has.
function lacking(r: Roster, me: string): string[] {
  const has = (p: Period, name: string) => p.outer_copies?.some((c) => c.person === name);
  const others = (r.people ?? []).filter((p) => p.roles.includes("keykeeper") && r.periods.some((q) => has(q, me) && !has(q, p.name)));
  return others.map((p) => p.name);
}

// Answers a challenge to each key that opens, and offers to keep the newest.
async function check(m: Member): Promise<void> {
  const keys = await openOuterKeys(m);
  const proven: string[] = [];
  for (const [period, key] of keys) {
    const challenge = await m.safe.post<{ id: string; sealed: string }>("/v1/keys/check", { role: "outer", period, paper: false });
    const nonce = await answerOuterProof(key, fromBase64(challenge.sealed));
    await m.safe.post("/v1/keys/answer", { id: challenge.id, nonce });
    proven.push(`The outer key of period ${period} is proven.`);
  }
  await ended(m, proven.join(" "));
  if (m.keyring !== undefined) {
    offerKeeping(m, m.keyring, keys, byId("keys-panel")); // which was drawn anew
  }
}

// A keykeeper's passkey may keep the key of the newest period by itself, so that
// a release unwraps that and not the personal key, which opens all periods.
function offerKeeping(m: Member, keyring: Keyring, keys: OuterKeys, panel: HTMLElement): void {
  const newest = m.everyone.roster.periods.length;
  const key = keys.get(newest);
  if (key === undefined || keyring.periods.has(newest)) {
    return;
  }
  const keep = action("Put it under your passkey", m.status, async () => {
    await keepUnderPasskey(m.safe, keyring, m.everyone.roster.domain ?? "", newest, key);
    offer.replaceChildren(h("p", { id: "kept" }, `The outer key of period ${newest} is under your passkey.`));
  }, { id: "keep" });
  const offer = h(
    "div",
    {},
    h("p", {}, `The outer key of period ${newest} is new to your passkey. With one touch more it is kept by itself: a release of what is new then unwraps this key alone, not your personal one.`),
    h("p", { class: "actions" }, keep),
  );
  panel.append(offer);
}
