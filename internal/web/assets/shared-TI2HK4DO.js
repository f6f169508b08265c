import {
  encodeKeyring,
  passkeyOf
} from "./shared-OAPKKD5Q.js";
import {
  Trouble
} from "./shared-JPLELB65.js";
import {
  openCopy,
  wrap
} from "./shared-GGP5EIOF.js";
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
} from "./shared-QBEIN4GJ.js";

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

// copies.ts
async function openCopies(periods, person, personal) {
  const keys = /* @__PURE__ */ new Map();
  for (const [i, p] of periods.entries()) {
    const copy = p.outer_copies?.find((c) => c.person === person);
    if (copy === void 0) {
      continue;
    }
    try {
      keys.set(i + 1, await openCopy(personal, fromBase64(copy.sealed), p.outer));
    } catch (cause) {
      throw new Error(`Your copy of the outer key of period ${i + 1} does not hold that key: ${cause.message}. Do nothing with this safe before you know why.`, { cause });
    }
  }
  if (keys.size === 0) {
    throw new Error("No copy of the outer key is sealed to you yet: a keykeeper who has it must add you once more, here or with strongroom people add.");
  }
  return keys;
}
async function keepUnderPasskey(safe, keyring, domain, period, key) {
  const now = /* @__PURE__ */ new Date();
  const sealed = await wrap(key, passkeyOf(keyring, domain), now);
  const next = { ...keyring, time: now, periods: new Map([...keyring.periods, [period, sealed]]) };
  await safe.post("/v1/keyring", { keyring: toBase64(encodeKeyring(next)) });
}

// time.ts
function when(t) {
  return `${t.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
function day(t) {
  return t.toISOString().slice(0, 10);
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
  openCopies,
  keepUnderPasskey,
  when,
  day
};
