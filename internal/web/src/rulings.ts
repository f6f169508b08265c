// What an officer says of what depends on what: confirming and rejecting what the
// map has, adding to it, and taking a word back. Each is signed with one touch.

import { signAct, type Signer, signerOf } from "./acting.ts";
import type { Safe } from "./api.ts";
import { action, everybodyReads, field, h, press, reasonField } from "./dom.ts";
import { askEveryone, suspendedKeys } from "./everyone.ts";
import { type Drawn, ended } from "./redraw.ts";
import { type Act, rule, takeBack } from "./statement.ts";

/** A part of a page that shows a component. */
export interface Shown extends Drawn {
  part: HTMLElement;
  more: string; // said beside what was done
}

// Somebody who says something there.
interface Officer extends Shown {
  safe: Safe;
  signer: Signer;
  component: string;
}

const longestReason = 200; // of evidence, as package estate has it

/** Offers an officer what they can say of a component; nothing to anybody else, who has no panel there. */
export async function offerRulings(safe: Safe, shown: Shown): Promise<void> {
  const panel = shown.part.querySelector<HTMLElement>("#say-panel");
  if (panel === null) {
    return;
  }
  const e = await askEveryone(safe, 0);
  if (e.self === undefined) {
    return;
  }
  const o: Officer = { ...shown, safe, signer: signerOf(e.store, e.self, e.roster.domain ?? "", suspendedKeys(e, e.me)), component: panel.dataset.component ?? "" };
  shown.part.querySelectorAll<HTMLElement>("[data-said]").forEach((place, i) => offerOn(o, place, i));
  offerToAdd(o, panel);
  // What was done is said until somebody begins something else, whose button it could hide.
  shown.part.addEventListener("input", () => shown.status.replaceChildren());
}

// Offers what can be said of one dependency, or of what people say is none.
function offerOn(o: Officer, place: HTMLElement, i: number): void {
  const { other, need, said } = place.dataset;
  const entries = (said ?? "").split(" ").filter((word) => word !== "").map(Number);
  if (other === undefined && entries.length === 0) {
    return; // the configuration says so
  }
  const reason = reasonField(`say-why-${i}`, longestReason);
  const buttons: HTMLElement[] = [];
  if (other !== undefined && need !== undefined) {
    const [from, to] = place.closest("#needed-by") === null ? [o.component, other] : [other, o.component];
    const button = (label: string, verdict: "confirmed" | "rejected", done: string): HTMLElement =>
      action(`${label} with your passkey`, o.status, () => say(o, reason, "/v1/map/rule", () => rule({ verdict, from, to, need, reason: reason.value.trim() }), done));
    buttons.push(button("Confirm", "confirmed", `You have confirmed that ${from} needs ${to}.`), button("Reject", "rejected", `You have rejected that ${from} needs ${to}.`));
  }
  for (const entry of entries) {
    const done = `What entry ${entry} of the ledger says is taken back.`;
    buttons.push(action(`Take back entry ${entry} with your passkey`, o.status, () => say(o, reason, "/v1/map/take-back", () => takeBack({ entry, reason: reason.value.trim() }), done)));
  }
  const words = [other === undefined ? "" : "Confirm or reject", entries.length === 0 ? "" : "Take back"].filter((word) => word !== "");
  const details = h("details", { class: "say" }, h("summary", {}, words.join(", ")), field("Why", reason, everybodyReads), h("p", { class: "actions" }, ...buttons));
  (place.querySelector("td:last-child") ?? place).append(details);
}

function offerToAdd(o: Officer, panel: HTMLElement): void {
  const within = <T extends HTMLElement>(id: string): T => panel.querySelector<T>(`#${id}`)!;
  const to = within<HTMLInputElement>("say-to");
  const need = within<HTMLSelectElement>("say-need");
  const reason = within<HTMLInputElement>("say-why");
  const button = within<HTMLButtonElement>("say-add");
  button.addEventListener("click", () => {
    if (!to.reportValidity()) {
      return;
    }
    const other = to.value;
    const act = (): Act => rule({ verdict: "added", from: o.component, to: other, need: need.value, reason: reason.value.trim() });
    void press(button, o.status, () => say(o, reason, "/v1/map/rule", act, `You have added that ${o.component} needs ${other}.`));
  });
  panel.hidden = false;
}

async function say(o: Officer, reason: HTMLInputElement, route: string, act: () => Act, done: string): Promise<void> {
  if (!reason.reportValidity()) {
    return;
  }
  await o.safe.post(route, { signed: await signAct(o.signer, act()) });
  await ended(o, done, o.more);
}
