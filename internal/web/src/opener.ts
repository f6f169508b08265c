// The page's side of the Workers that open envelopes.

import type { Bytes } from "./base64.ts";
import type { PrivateKey } from "./keys.ts";
import type { Envelope, FromWorker, ToWorker } from "./worker.ts";

/** Opens envelopes in Workers. One batch at a time; close() ends the Workers, and with them their keys. */
export class Opener {
  readonly #workers: Worker[] = [];

  /** url is that of worker.js, which lies beside the page's own script. */
  constructor(url: URL) {
    // Phones have cores of two speeds: the slow ones are not counted on.
    const cores = Math.min(4, Math.max(1, Math.ceil((navigator.hardwareConcurrency || 1) / 2)));
    for (let i = 0; i < cores; i++) {
      this.#workers.push(new Worker(trusted(url) as string, { name: "envelopes", type: "module" }));
    }
  }

  /** The keys that are tried, in this order. */
  useKeys(keys: PrivateKey<"outer">[]): void {
    const message: ToWorker = { kind: "keys", lines: keys.map((key) => key.privateLine()) };
    this.#workers.forEach((worker) => worker.postMessage(message));
  }

  /**
   * Returns the inner layers of the batch, in its order; null stands for what
   * is sealed to none of the keys. Any other fault of one envelope fails the
   * whole batch.
   */
  async open(batch: Envelope[], progress: (done: number) => void): Promise<(Bytes | null)[]> {
    const done = this.#workers.map(() => 0);
    const size = Math.ceil(batch.length / this.#workers.length);
    const parts = await Promise.all(
      this.#workers.map((worker, i) =>
        openIn(worker, batch.slice(i * size, (i + 1) * size), (n) => {
          done[i] = n;
          progress(done.reduce((sum, n) => sum + n));
        }),
      ),
    );
    return parts.flat();
  }

  close(): void {
    this.#workers.forEach((worker) => worker.terminate());
  }
}

function openIn(worker: Worker, envelopes: Envelope[], progress: (done: number) => void): Promise<(Bytes | null)[]> {
  if (envelopes.length === 0) {
    return Promise.resolve([]);
  }
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(`the Worker that opens envelopes failed: ${event.message || "it could not be loaded"}`));
    worker.onmessage = (event: MessageEvent<FromWorker>) => {
      const message = event.data;
      switch (message.kind) {
        case "progress":
          return progress(message.done);
        case "opened":
          progress(message.inner.length);
          return resolve(message.inner);
        case "failed":
          return reject(new Error(message.error));
      }
    };
    worker.postMessage({ kind: "open", envelopes } satisfies ToWorker);
  });
}

/** The name of the one policy of Trusted Types that these pages need: it lets one script through, that of the Worker. */
export const trustedTypesPolicy = "strongroom-worker";

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL(url: string): unknown };
}

// Where the browser knows Trusted Types, the address of a Worker must come from
// a policy that the page's header names. This one knows one script, of the
// page's own origin.
const trusted = (() => {
  const createScriptURL = (url: string) => {
    if (new URL(url).origin !== location.origin || !new URL(url).pathname.endsWith("/worker.js")) {
      throw new TypeError("not the script of the Worker");
    }
    return url;
  };
  const factory = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  const policy = factory?.createPolicy(trustedTypesPolicy, { createScriptURL });
  return (url: URL) => (policy ?? { createScriptURL }).createScriptURL(url.href);
})();
