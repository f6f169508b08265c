import {
  Trouble,
  byId,
  h
} from "./shared-CXLUVPZO.js";
import {
  actNamespace,
  assertionText,
  challenge,
  fromBase64,
  fromBase64url,
  read,
  sha256,
  sign,
  spellWithin,
  statement,
  toBase64,
  toHex
} from "./shared-JFX4GKKW.js";

// roster.ts
function readRoster(b) {
  const r = read("a version of the roster", b);
  if (r.v !== 1) {
    throw new Error("a version of the roster is in a form that this page does not know");
  }
  return r;
}
function personOf(r, name) {
  return r.people?.find((p) => p.name === name);
}
function founded(r) {
  return ["keykeeper", "operator"].every((role) => r.people?.some((p) => p.roles.includes(role)));
}
function current(r) {
  const last = r.periods.at(-1);
  if (last === void 0) {
    throw new Error("a version of the roster has no role keys");
  }
  return last;
}
function renewed(r, next) {
  const [a, b] = [current(r), current(next)];
  return [...a.outer !== b.outer ? ["keykeeper"] : [], ...a.inner !== b.inner ? ["operator"] : []];
}
async function unfit(r, bytes, next) {
  const begun = next.periods.length - r.periods.length;
  const kept = r.periods.every((p, i) => {
    const q = next.periods[i];
    return q?.from === p.from && q.outer === p.outer && q.inner === p.inner;
  });
  if (next.store !== r.store) {
    return "it is of another safe";
  }
  if (next.n !== r.n + 1 || next.previous !== toHex(await sha256(bytes))) {
    return "it does not follow the version in force";
  }
  if (!founded(next)) {
    return "it has no keykeeper, or no operator";
  }
  if (!r.ledger_keys.every((key, i) => next.ledger_keys[i] === key)) {
    return "it takes out a key of the ledger";
  }
  if (!(r.lifted ?? []).every((entry) => next.lifted?.includes(entry))) {
    return "it takes out that a suspension was lifted";
  }
  if (!kept || begun > 1) {
    return "it changes the role keys of a period that has begun, or begins more than one";
  }
  if (begun === 1 && renewed(r, next).length === 0) {
    return "it begins a period without a new role key";
  }
  if (r.periods.some((p) => p.inner === current(next).outer || p.outer === current(next).inner)) {
    return "it makes the role key of one role that of the other";
  }
  return "";
}
function unfounded(r, next, enrolments) {
  if (founded(r) || renewed(r, next).length === 0) {
    return "";
  }
  const last = current(next);
  if (last.inner !== current(r).inner) {
    return "it has another inner key than the safe was made with";
  }
  const made = enrolments.some((e) => {
    const copy = last.outer_copies?.find((c) => c.person === e.person.name);
    return standsAs(next, e.person) && e.outer === last.outer && e.outer_copy === copy?.sealed;
  });
  return made ? "" : "it begins an outer key with which none of its keykeepers has enrolled";
}
function standsAs(r, p) {
  const stands = personOf(r, p.name);
  return stands !== void 0 && spellWithin(stands) === spellWithin(p);
}
async function fingerprint(key) {
  const [word, first = "", second = ""] = key.split(" ");
  const hash = await sha256(word === "passkey" ? fromBase64url(second) : fromBase64(first));
  return "SHA256:" + toBase64(hash).replace(/=+$/, "");
}
function credentialOf(p) {
  return fromBase64url(p.key.split(" ")[1] ?? "");
}
function keysOf(p) {
  const of = (use) => (p.passkeys ?? []).filter((k) => k.use === use).map((k) => k.key);
  return [...p.ssh ?? [], ...of("release"), ...of("sign-in")];
}

// acting.ts
function signerOf(store, person, domain, suspended) {
  const usable = (person.passkeys ?? []).filter((k) => k.use === "release" && !suspended.includes(k.key));
  return { store, person: person.name, domain, passkeys: usable.map(credentialOf) };
}
async function signAct(s, act) {
  if (s.passkeys.length === 0) {
    throw new Trouble("You have no passkey that signs, or it is suspended.", "Enrol anew with another device, or use a terminal, if you have an SSH key.");
  }
  const bytes = statement(s.store, s.person, /* @__PURE__ */ new Date(), act);
  const assertion = await sign(s.domain, s.passkeys, await challenge(actNamespace, bytes));
  return { statement: new TextDecoder().decode(bytes), signature: assertionText(assertion) };
}

// redraw.ts
function again() {
  return h("a", { href: location.pathname + location.search }, "Look at it anew");
}
async function ended(at, text, more = "") {
  at.status.replaceChildren(h("span", { class: "ended" }, h("strong", {}, text), " ", more));
  try {
    await at.redraw();
  } catch {
    at.status.append(" ", again());
  }
  at.status.tabIndex = -1;
  at.status.focus();
}
async function redraw(keep) {
  const fresh = await askPage(location.pathname + location.search);
  const main = byId("main");
  const drawn = fresh.getElementById("main");
  if (drawn === null) {
    throw new Error("the safe shows another page");
  }
  const drawnAt = [...drawn.children].findIndex((part) => part.id === keep.id);
  const at = drawnAt >= 0 ? drawnAt : [...main.children].indexOf(keep);
  const parts = [...drawn.children].filter((part) => part.id !== keep.id);
  parts.splice(at, 0, keep);
  document.title = fresh.title;
  main.replaceChildren(...parts);
}
function askPage(address) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", address);
    request.onload = () => {
      const there = new URL(request.responseURL).pathname === new URL(address, location.origin).pathname;
      if (request.status === 200 && there && request.responseXML !== null) {
        resolve(request.responseXML);
      } else {
        reject(new Error(`the safe answered with status ${request.status}`));
      }
    };
    request.onerror = () => reject(new Error("the safe cannot be reached"));
    request.send();
  });
}

export {
  readRoster,
  personOf,
  founded,
  current,
  renewed,
  unfit,
  unfounded,
  standsAs,
  fingerprint,
  credentialOf,
  keysOf,
  signerOf,
  signAct,
  again,
  ended,
  redraw,
  askPage
};
