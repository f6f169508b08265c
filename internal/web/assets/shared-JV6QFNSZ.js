import {
  askEveryone,
  suspendedKeys
} from "./shared-GUHBJKB6.js";
import {
  ended,
  signAct,
  signerOf
} from "./shared-JMBBHRIC.js";
import {
  action,
  everybodyReads,
  field,
  h,
  press,
  reasonField
} from "./shared-CXLUVPZO.js";
import {
  rule,
  takeBack
} from "./shared-JFX4GKKW.js";

// rulings.ts
var longestReason = 200;
async function offerRulings(safe, shown) {
  const panel = shown.part.querySelector("#say-panel");
  if (panel === null) {
    return;
  }
  const e = await askEveryone(safe, 0);
  if (e.self === void 0) {
    return;
  }
  const o = { ...shown, safe, signer: signerOf(e.store, e.self, e.roster.domain ?? "", suspendedKeys(e, e.me)), component: panel.dataset.component ?? "" };
  shown.part.querySelectorAll("[data-said]").forEach((place, i) => offerOn(o, place, i));
  offerToAdd(o, panel);
  shown.part.addEventListener("input", () => shown.status.replaceChildren());
}
function offerOn(o, place, i) {
  const { other, need, said } = place.dataset;
  const entries = (said ?? "").split(" ").filter((word) => word !== "").map(Number);
  if (other === void 0 && entries.length === 0) {
    return;
  }
  const reason = reasonField(`say-why-${i}`, longestReason);
  const buttons = [];
  if (other !== void 0 && need !== void 0) {
    const [from, to] = place.closest("#needed-by") === null ? [o.component, other] : [other, o.component];
    const button = (label, verdict, done) => action(`${label} with your passkey`, o.status, () => say(o, reason, "/v1/map/rule", () => rule({ verdict, from, to, need, reason: reason.value.trim() }), done));
    buttons.push(button("Confirm", "confirmed", `You have confirmed that ${from} needs ${to}.`), button("Reject", "rejected", `You have rejected that ${from} needs ${to}.`));
  }
  for (const entry of entries) {
    const done = `What entry ${entry} of the ledger says is taken back.`;
    buttons.push(action(`Take back entry ${entry} with your passkey`, o.status, () => say(o, reason, "/v1/map/take-back", () => takeBack({ entry, reason: reason.value.trim() }), done)));
  }
  const words = [other === void 0 ? "" : "Confirm or reject", entries.length === 0 ? "" : "Take back"].filter((word) => word !== "");
  const details = h("details", { class: "say" }, h("summary", {}, words.join(", ")), field("Why", reason, everybodyReads), h("p", { class: "actions" }, ...buttons));
  (place.querySelector("td:last-child") ?? place).append(details);
}
function offerToAdd(o, panel) {
  const within = (id) => panel.querySelector(`#${id}`);
  const to = within("say-to");
  const need = within("say-need");
  const reason = within("say-why");
  const button = within("say-add");
  button.addEventListener("click", () => {
    if (!to.reportValidity()) {
      return;
    }
    const other = to.value;
    const act = () => rule({ verdict: "added", from: o.component, to: other, need: need.value, reason: reason.value.trim() });
    void press(button, o.status, () => say(o, reason, "/v1/map/rule", act, `You have added that ${o.component} needs ${other}.`));
  });
  panel.hidden = false;
}
async function say(o, reason, route, act, done) {
  if (!reason.reportValidity()) {
    return;
  }
  await o.safe.post(route, { signed: await signAct(o.signer, act()) });
  await ended(o, done, o.more);
}

export {
  offerRulings
};
