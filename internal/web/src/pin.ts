// What a release page on another host knows of its safe since it was written
// there, by a machine that had verified it. The safe is not believed anything
// else.

import { type Bytes, sha256, toHex } from "./base64.ts";
import { tellColleagues, Trouble } from "./trouble.ts";

export interface Pin {
  safe: string; // origin
  store: string;
  domain: string; // of the passkeys
  roster: string; // SHA-256 of the version in force, in hex
  version: number; // its number
}

/** The pin that the page has in an element; undefined if it is the safe's own page. */
export function pinOf({ dataset }: HTMLElement): Pin | undefined {
  const { safe, store, domain, roster, version } = dataset;
  if (safe === undefined) {
    return undefined;
  }
  if (!store || !domain || !roster || !version) {
    throw new Trouble("This page does not say which safe it is for.", "It was not written by strongroom web export, or was changed: have it written anew.");
  }
  return { safe, store, domain, roster, version: Number(version) };
}

/** Checks of which safe an answer is. */
export function checkSafe(pin: Pin, answer: { store: string; domain: string }): void {
  if (answer.store !== pin.store || answer.domain !== pin.domain) {
    throw new Trouble(
      `At ${pin.safe} answers another safe than the one that this page is for: store ${answer.store} with passkeys of ${answer.domain || "no domain"}, not store ${pin.store} of ${pin.domain}.`,
      tellColleagues,
    );
  }
}

/** Checks that the safe's roster is the one that was verified when the page was written. */
export async function checkRoster(pin: Pin, roster: Bytes, version: number): Promise<void> {
  if (toHex(await sha256(roster)) === pin.roster) {
    return;
  }
  if (version > pin.version) {
    throw new Trouble(
      `The safe says that version ${version} of its roster is in force. This page was written for version ${pin.version}, and cannot tell whether that is so.`,
      "Have it written anew (strongroom web export) by somebody whose program verifies the roster. Until then release from a terminal: strongroom opening release.",
    );
  }
  throw new Trouble(`The safe shows another roster than version ${pin.version}, for which this page was written.`, tellColleagues);
}
