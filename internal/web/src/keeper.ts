// Who is at the release page, and the outer keys that they open there.
//
// One touch signs something and unwraps one key: the outer key of a period, if
// the keyring has it, and otherwise the personal key. That one opens the
// person's copies of all periods, so nobody is asked for it without being told,
// and it opens those that are needed here alone.

import { type Signer, signerOf } from "./acting.ts";
import type { Safe } from "./api.ts";
import { type Bytes, equal, fromBase64, sha256, toHex } from "./base64.ts";
import type { Suspension } from "./everyone.ts";
import { openCopy, type Passkey, type PrivateKey, unwrapAndSign } from "./keys.ts";
import { askKeyring, type Keyring, passkeyOf } from "./keyring.ts";
import { checkRoster, checkSafe, type Pin } from "./pin.ts";
import { timeOfRun } from "./review.ts";
import { credentialOf, type Person, personOf, readRoster, type Roster } from "./roster.ts";
import { reasonOf, tellColleagues, Trouble } from "./trouble.ts";
import { type Assertion, PasskeyError } from "./webauthn.ts";

/** The safe's answer, as far as it is read here. */
interface SessionAnswer {
  person: string;
  store: string;
  domain: string;
}

/** Who is at the page, and what the safe's roster says. */
export interface Keeper {
  person: string;
  store: string;
  domain: string;
  recipient: string; // of the personal key; "" for who is no keykeeper
  signer: Signer;
  keyring: Keyring | undefined;
  roster: Roster;
  digest: string; // of the roster, in hex
}

/** What a page on another host holds the safe to: its pin, and the passkey that was touched to sign in. */
export interface Known {
  pin: Pin;
  passkey: Bytes;
}

/** Asks the safe who is signed in. */
export async function whoIsHere(safe: Safe, known?: Known): Promise<Keeper> {
  const session = await safe.get<SessionAnswer>("/v1/session");
  const everyone = await safe.get<{ current: string; suspensions: Suspension[] | null }>("/v1/people");
  const bytes = fromBase64(everyone.current);
  const roster = readRoster(bytes);
  if (known !== undefined) {
    checkSafe(known.pin, session);
    await checkRoster(known.pin, bytes, roster.n);
  }
  const me = personOf(roster, session.person);
  if (me === undefined || roster.store !== session.store) {
    throw new Trouble("You are not in the safe's roster.", "Two people take you into it: strongroom people add, and people agree.");
  }
  if (known !== undefined && !me.passkeys?.some((k) => equal(credentialOf(k), known.passkey))) {
    throw new Trouble(`The safe says that you are ${me.name}, whose passkey is not the one that you have touched.`, tellColleagues);
  }
  const stopped = checkSuspended(me, everyone.suspensions ?? []);
  const keykeeper = me.roles.includes("keykeeper");
  const domain = roster.domain ?? "";
  return {
    person: session.person,
    store: session.store,
    domain,
    recipient: keykeeper ? (me.key ?? "") : "",
    signer: signerOf(session.store, me, domain, stopped),
    keyring: keykeeper ? await askKeyring(safe, session.store, session.person) : undefined,
    roster,
    digest: toHex(await sha256(bytes)),
  };
}

// Says so before anything is touched or opened, if nothing that the person signs
// counts. Returns the keys of theirs that are suspended by themselves.
function checkSuspended(me: Person, suspensions: Suspension[]): string[] {
  const own = suspensions.filter((s) => s.person === me.name);
  const stopped = own.flatMap((s) => s.key ?? []);
  const release = (me.passkeys ?? []).filter((k) => k.use === "release");
  if (own.some((s) => s.key === undefined)) {
    throw new Trouble("You are suspended: nothing that you sign counts.", `Another keykeeper and an operator lift that (strongroom people lift ${me.name}), which takes a day. Until then another keykeeper releases.`);
  }
  if (release.length > 0 && release.every((k) => stopped.includes(k.key))) {
    throw new Trouble(
      "Your passkey that signs is suspended: nothing that it signs counts.",
      "If it is lost, enrol anew with another device: whoever keeps the safe’s host invites you. Until you are taken in again another keykeeper releases.",
    );
  }
  return stopped;
}

/** The period whose key runs of that time are sealed to, as far as times tell: a roster comes into force a day after its period begins. */
export function periodAt(keeper: Keeper, at: Date): number {
  const { periods } = keeper.roster;
  const later = periods.findIndex((p) => Date.parse(p.from) > at.getTime());
  return Math.max(1, later < 0 ? periods.length : later);
}

/** The periods that runs seem to be of, the newest first. */
export function periodsOf(keeper: Keeper, runs: string[]): number[] {
  return [...new Set(runs.map((run) => periodAt(keeper, timeOfRun(run))))].sort((a, b) => b - a);
}

/** A key that the passkey has wrapped does not open, although it was touched. */
export class WrappedError extends Trouble {
  constructor(what: string, cause: unknown) {
    super(
      `what your passkey has wrapped as ${what} does not open: ${reasonOf(cause)}`,
      "Nothing was released. Release from a terminal (strongroom opening release), or have another keykeeper do it. Then enrol anew with this device.",
      { cause },
    );
  }
}

/** The keys that are open in this page. */
export class Ring {
  readonly outer = new Map<number, PrivateKey<"outer">>(); // by period
  readonly #failed = new Set<number>(); // periods whose wrapped keys do not open
  #personal: PrivateKey<"personal"> | undefined;

  constructor(
    private readonly keeper: Keeper,
    private readonly keyring: Keyring,
  ) {}

  /** The open keys, the newest period first. */
  get newestFirst(): PrivateKey<"outer">[] {
    return [...this.outer].sort(([a], [b]) => b - a).map(([, key]) => key);
  }

  /** Whether the passkey has wrapped the key of that period, and it is not known to be damaged. */
  wraps(period: number): boolean {
    return this.keyring.periods.has(period) && !this.#failed.has(period);
  }

  /** Whether the person has a copy of the key of that period, which the personal key opens. */
  hasCopy(period: number): boolean {
    return this.#copy(period) !== undefined;
  }

  /** Whether the personal key is open. */
  get hasPersonal(): boolean {
    return this.#personal !== undefined;
  }

  /** The periods whose keys are not open and could be, those first that are near to one. */
  near(period: number): number[] {
    return this.keeper.roster.periods
      .map((_, i) => i + 1)
      .filter((n) => !this.outer.has(n) && (this.wraps(n) || this.hasCopy(n)))
      .sort((a, b) => Math.abs(a - period) - Math.abs(b - period) || a - b);
  }

  /** Signs a challenge, and unwraps the outer key of that period. */
  async touchPeriod(period: number, challenge: Bytes): Promise<Assertion> {
    const { key, assertion } = await this.#touch(`the outer key of period ${period}`, () =>
      unwrapAndSign("outer", this.keyring.periods.get(period) as Bytes, this.#passkey, this.#recipient(period), challenge),
    ).catch((error: unknown) => {
      if (error instanceof WrappedError) {
        this.#failed.add(period);
      }
      throw error;
    });
    this.outer.set(period, key);
    return assertion;
  }

  /** Signs a challenge, and unwraps the personal key. */
  async touchPersonal(challenge: Bytes): Promise<Assertion> {
    const { key, assertion } = await this.#touch("your personal key", () =>
      unwrapAndSign("personal", this.keyring.personal, this.#passkey, this.keeper.recipient, challenge),
    );
    this.#personal = key;
    return assertion;
  }

  /** Opens the person's copy for that period with the personal key, which is open. */
  async openCopy(period: number): Promise<void> {
    const copy = this.#copy(period);
    if (copy === undefined || this.#personal === undefined) {
      throw new Trouble(
        `The roster has no copy of the outer key of period ${period} for you.`,
        "A keykeeper who has that key adds you once more (strongroom people add). Until then another keykeeper releases.",
      );
    }
    try {
      this.outer.set(period, await openCopy(this.#personal, fromBase64(copy), this.#recipient(period)));
    } catch (cause) {
      throw new Trouble(
        `Your copy of the outer key of period ${period}, in the roster, does not open: ${reasonOf(cause)}.`,
        "A keykeeper who has that key adds you once more (strongroom people add). Until then another keykeeper releases.",
        { cause },
      );
    }
  }

  get #passkey(): Passkey {
    return passkeyOf(this.keyring, this.keeper.domain);
  }

  #copy(period: number): string | undefined {
    return this.keeper.roster.periods[period - 1]?.outer_copies?.find((c) => c.person === this.keeper.person)?.sealed;
  }

  #recipient(period: number): string {
    const p = this.keeper.roster.periods[period - 1];
    if (p === undefined) {
      throw new Error(`there is no period ${period}`);
    }
    return p.outer;
  }

  // What the passkey itself says is passed on: another try may do.
  async #touch<T>(what: string, touch: () => Promise<T>): Promise<T> {
    try {
      return await touch();
    } catch (cause) {
      if (cause instanceof PasskeyError) {
        throw cause;
      }
      throw new WrappedError(what, cause);
    }
  }
}
