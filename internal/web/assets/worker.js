import {
  PrivateKey,
  WrongKeyError,
  open
} from "./shared-F6GVJO2D.js";
import {
  equal,
  fromBase64,
  spellWithin,
  utf8
} from "./shared-JFX4GKKW.js";

// envelope.ts
var LabelError = class extends Error {
  constructor(field, got, want) {
    super(`the outer layer is labelled with ${field} ${got}, not ${want}: it belongs elsewhere`);
    this.name = "LabelError";
  }
};
var maxEnvelope = 64 << 10;
async function openOuter(outer, envelope, want) {
  const layer = parseOuter(await open(outer, envelope, maxEnvelope));
  for (const field of ["store", "run", "source"]) {
    if (layer[field] !== want[field]) {
      throw new LabelError(field, layer[field], want[field]);
    }
  }
  return layer.inner;
}
var malformed = "the content of an outer layer is not that of such a layer";
function parseOuter(plain) {
  let l;
  try {
    l = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain));
  } catch {
    throw new Error(malformed);
  }
  if (typeof l !== "object" || l === null || l.v !== 1 && typeof l.v !== "number") {
    throw new Error(malformed);
  }
  if (l.v !== 1) {
    throw new Error(`an outer layer has version ${l.v}, this page knows version 1`);
  }
  const { store, run, source, time, roster, inner } = l;
  if (!isText(store, /^[0-9a-f]{32}$/) || !isText(run, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) || !isText(source, /^[a-z0-9][a-z0-9-]{0,62}$/) || !isText(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/) || Number.isNaN(Date.parse(time)) || !Number.isSafeInteger(roster) || roster < 1 || !isText(inner, /^[A-Za-z0-9+/]+={0,2}$/)) {
    throw new Error(malformed);
  }
  if (!equal(utf8(spellWithin({ v: 1, store, run, source, time, roster, inner })), plain)) {
    throw new Error(malformed);
  }
  return { store, run, source, inner: fromBase64(inner) };
}
function isText(v, form) {
  return typeof v === "string" && form.test(v);
}

// worker.ts
var step = 10;
var keys = [];
addEventListener("message", (event) => {
  answer(event.data).then(
    (reply) => reply !== void 0 && postMessage(reply),
    (error) => postMessage({ kind: "failed", error: error instanceof Error ? error.message : String(error) })
  );
});
async function answer(message) {
  switch (message.kind) {
    case "keys":
      keys = await Promise.all(message.lines.map((line) => PrivateKey.parse("outer", line)));
      return void 0;
    case "open": {
      const inner = [];
      for (const e of message.envelopes) {
        inner.push(await openOne(e));
        if (inner.length % step === 0 && inner.length < message.envelopes.length) {
          postMessage({ kind: "progress", done: inner.length });
        }
      }
      return { kind: "opened", inner };
    }
  }
}
async function openOne(e) {
  for (const key of keys) {
    try {
      return await openOuter(key, e.envelope, e);
    } catch (error) {
      if (!(error instanceof WrongKeyError)) {
        throw new Error(`the envelope of run ${e.run}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  return null;
}
