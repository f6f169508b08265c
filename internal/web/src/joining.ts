// Taking people in who have enrolled, as a keykeeper: their words are heard, one
// touch opens the outer keys that are sealed to new keykeepers, and another one
// signs the version that is proposed.

import { sha256 } from "./base64.ts";
import { describe } from "./changes.ts";
import { add } from "./compose.ts";
import { action, h } from "./dom.ts";
import type { Enrolled } from "./everyone.ts";
import { digestOf, type Member, offerProposal, openOuterKeys } from "./place.ts";
import { standsAs } from "./roster.ts";
import { wordsOf } from "./words.ts";

/** Fills the place below those who have sent their keys. */
export async function offerJoining(m: Member, panel: HTMLElement): Promise<void> {
  const { enrolments, proposals } = m.everyone;
  const waiting = enrolments.filter(({ enrolment: { person } }) => !proposals.some((p) => standsAs(p.next, person)));
  const able = waiting.filter((x) => !x.enrolment.person.roles.includes("operator"));
  if (able.length === 0) {
    panel.replaceChildren(...(waiting.length === 0 ? [] : [h("p", {}, "Operators are taken in by an operator, from a terminal.")]));
    return;
  }
  const boxes = new Map<HTMLInputElement, Enrolled>();
  const parts: HTMLElement[] = [];
  for (const x of able) {
    const name = x.enrolment.person.name;
    const heard = h("input", { type: "checkbox", id: `heard-${name}` });
    boxes.set(heard, x);
    parts.push(
      h("p", {}, h("bdi", {}, await describe(x.enrolment.person))),
      h("p", { class: "words" }, wordsOf(await sha256(x.bytes))),
      h("p", {}, h("label", { for: heard.id, class: "check" }, heard, h("span", {}, "I have heard these eight words from ", h("bdi", {}, name), ", whose voice I know"))),
    );
  }
  const button = action("Take in whose words you have heard", m.status, async () => {
    const chosen = [...boxes].flatMap(([box, x]) => (box.checked ? [x.enrolment] : []));
    if (chosen.length === 0) {
      throw new Error("Call those whom you take in, and have their eight words read to you; then tick their names.");
    }
    const keys = chosen.some((x) => x.person.roles.includes("keykeeper")) ? await openOuterKeys(m) : new Map<number, never>();
    const { roster, bytes, suspensions } = m.everyone;
    await offerProposal(m, panel, await add(roster, await digestOf(bytes), chosen, keys, suspensions, new Date()));
  }, { class: "first", id: "join" });
  panel.replaceChildren(...parts, h("p", { class: "actions" }, button));
}
