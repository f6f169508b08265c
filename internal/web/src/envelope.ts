// Envelopes of runs: opens the outer layer and checks whose it is, as package
// seal does (OpenOuter).

import { type Bytes, equal, fromBase64, utf8 } from "./base64.ts";
import { open, type PrivateKey } from "./keys.ts";
import { spellWithin } from "./statement.ts";

/** What an envelope must be labelled with. */
export interface Want {
  store: string;
  run: string;
  source: string;
}

/** A layer was opened and belongs to something else: an envelope was put in another's place. */
export class LabelError extends Error {
  constructor(field: string, got: string, want: string) {
    super(`the outer layer is labelled with ${field} ${got}, not ${want}: it belongs elsewhere`);
    this.name = "LabelError";
  }
}

const maxEnvelope = 64 << 10;

/** Returns the inner layer, still sealed to the operators. */
export async function openOuter(outer: PrivateKey<"outer">, envelope: Bytes, want: Want): Promise<Bytes> {
  const layer = parseOuter(await open(outer, envelope, maxEnvelope));
  for (const field of ["store", "run", "source"] as const) {
    if (layer[field] !== want[field]) {
      throw new LabelError(field, layer[field], want[field]);
    }
  }
  return layer.inner;
}

// What is wrong is not said in detail: an error must not repeat what was under
// a seal.
const malformed = "the content of an outer layer is not that of such a layer";

function parseOuter(plain: Bytes): Want & { inner: Bytes } {
  let l: Record<string, unknown>;
  try {
    l = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain)) as Record<string, unknown>;
  } catch {
    throw new Error(malformed);
  }
  if (typeof l !== "object" || l === null || (l.v !== 1 && typeof l.v !== "number")) {
    throw new Error(malformed);
  }
  if (l.v !== 1) {
    throw new Error(`an outer layer has version ${l.v}, this page knows version 1`);
  }
  const { store, run, source, time, roster, inner } = l;
  if (
    !isText(store, /^[0-9a-f]{32}$/) ||
    !isText(run, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) ||
    !isText(source, /^[a-z0-9][a-z0-9-]{0,62}$/) ||
    !isText(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z$/) ||
    Number.isNaN(Date.parse(time)) ||
    !Number.isSafeInteger(roster) ||
    (roster as number) < 1 ||
    !isText(inner, /^[A-Za-z0-9+/]+={0,2}$/)
  ) {
    throw new Error(malformed);
  }
  // One value has one spelling: no other names, nothing twice, no space.
  if (!equal(utf8(spellWithin({ v: 1, store, run, source, time, roster, inner })), plain)) {
    throw new Error(malformed);
  }
  return { store, run, source, inner: fromBase64(inner) };
}

function isText(v: unknown, form: RegExp): v is string {
  return typeof v === "string" && form.test(v);
}
