// The Worker of the release page: opens envelopes, so that thousands of them
// do not make the page stand still. It gets outer keys by a message from its
// page, and asks nobody for anything.

import type { Bytes } from "./base64.ts";
import { openOuter, type Want } from "./envelope.ts";
import { PrivateKey, WrongKeyError } from "./keys.ts";

/** An envelope of a run that the grant names. */
export interface Envelope extends Want {
  envelope: Bytes;
}

export type ToWorker = { kind: "keys"; lines: string[] } | { kind: "open"; envelopes: Envelope[] };

export type FromWorker =
  | { kind: "progress"; done: number } // of this batch
  | { kind: "opened"; inner: (Bytes | null)[] } // in the order of the batch; null for one that is sealed to another key
  | { kind: "failed"; error: string };

const step = 10; // envelopes for one message of progress: some ten a second

let keys: PrivateKey<"outer">[] = [];

addEventListener("message", (event: MessageEvent<ToWorker>) => {
  answer(event.data).then(
    (reply) => reply !== undefined && postMessage(reply),
    (error: unknown) => postMessage({ kind: "failed", error: error instanceof Error ? error.message : String(error) }),
  );
});

async function answer(message: ToWorker): Promise<FromWorker | undefined> {
  switch (message.kind) {
    case "keys":
      keys = await Promise.all(message.lines.map((line) => PrivateKey.parse("outer", line)));
      return undefined;
    case "open": {
      const inner: (Bytes | null)[] = [];
      for (const e of message.envelopes) {
        inner.push(await openOne(e));
        if (inner.length % step === 0 && inner.length < message.envelopes.length) {
          postMessage({ kind: "progress", done: inner.length } satisfies FromWorker);
        }
      }
      return { kind: "opened", inner };
    }
  }
}

async function openOne(e: Envelope): Promise<Bytes | null> {
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
