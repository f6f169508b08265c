import {
  encodeKeyring,
  passkeyOf
} from "./shared-J55N52WJ.js";
import {
  openCopy,
  wrap
} from "./shared-F6GVJO2D.js";
import {
  fromBase64,
  toBase64
} from "./shared-JFX4GKKW.js";

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
  openCopies,
  keepUnderPasskey,
  when,
  day
};
