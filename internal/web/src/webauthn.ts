// Passkeys: making them, and asking for a touch.
//
// An authenticator that evaluates its PRF hands the result to the page, within
// the credential's "client extension results", and credential.toJSON() has it
// too. Whoever has it opens what the passkey wraps. So nothing here that is
// meant to be sent holds a credential: what is sent is built from named fields,
// and PRF results go to the caller's callback and to nobody else.

import { type Bytes, concat, equal, toBase64url, utf8 } from "./base64.ts";

/** What a passkey is for. */
export type Use = "sign-in" | "release";

/** Why a passkey cannot be made or used, with what to do: both are for people. */
export class PasskeyError extends Error {
  constructor(
    readonly reason: Reason,
    message: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "PasskeyError";
  }
}

export type Reason = "no-webauthn" | "no-prf" | "not-allowed" | "no-verification" | "address" | "exists" | "unsupported";

const whatWorks =
  "Passkeys that work are those of iCloud Keychain (iOS 18, macOS 15 or newer), of Google Password Manager " +
  "(Chrome on Android, Windows, macOS and Linux), and of security keys with FIDO2 and a PIN, such as YubiKey 5.";

/** Where and for whom a passkey is made. */
export interface NewPasskey {
  use: Use;
  wraps: boolean; // is to wrap keys, and so must evaluate a PRF
  domain: string; // the RP ID
  safe: string; // its name, for people
  person: string;
  fullName?: string | undefined;
  challenge: Bytes; // from the safe
}

/** A passkey that was made: what the safe is sent, and what stands in the roster. */
export interface Registration {
  use: Use;
  credential: Bytes;
  attestationObject: Bytes;
  clientDataJSON: Bytes;
  key: string; // "passkey <credential> <public key>", as package passkey spells it
  synced: boolean; // its provider may copy it to other devices of the person
}

/** What navigator.credentials.get() gives, as far as it is evidence. */
export interface Assertion {
  credential: Bytes;
  authenticatorData: Bytes;
  clientDataJSON: Bytes;
  signature: Bytes;
}

/** The one spelling of an assertion, as it stands in statements (package passkey). */
export function assertionText(a: Assertion): string {
  const parts = [a.credential, a.authenticatorData, a.clientDataJSON, a.signature];
  return ["strongroom-passkey-v1", ...parts.map(toBase64url)].join(" ");
}

/** Reports, before anything is asked of a person, whether this browser has passkeys at all. */
export function checkBrowser(): void {
  if (!window.isSecureContext || typeof PublicKeyCredential === "undefined") {
    throw new PasskeyError(
      "no-webauthn",
      "This browser cannot use passkeys here.",
      "Open the page under its name with https, in a current Safari, Chrome, Edge or Firefox.",
    );
  }
}

/** The name of a person's passkey in the lists of their devices. */
export function passkeyName(p: NewPasskey): string {
  return p.use === "release" ? `${p.safe} SAFE KEY, do not delete` : `${p.person} at ${p.safe}`;
}

/**
 * Makes a passkey. If one that is to wrap keys cannot, the error says which
 * authenticators can.
 */
export async function register(p: NewPasskey): Promise<Registration> {
  checkBrowser();
  // An authenticator that already has a passkey of this user at this domain
  // writes over it. So each passkey is of a user of its own.
  const user = crypto.getRandomValues(new Uint8Array(16));
  const options: PublicKeyCredentialCreationOptions = {
    rp: { id: p.domain, name: `Strongroom ${p.safe}` },
    user: { id: user, name: passkeyName(p), displayName: p.fullName || p.person },
    challenge: p.challenge,
    pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })), // ES256, Ed25519, RS256
    authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
    attestation: "none",
    timeout,
  };
  if (p.wraps) {
    // With something to evaluate: Windows Hello refuses an empty request. What
    // comes of it is not looked at.
    options.extensions = { prf: { eval: { first: crypto.getRandomValues(new Uint8Array(32)) } } };
  }
  const made = await asking(() => navigator.credentials.create({ publicKey: options }));
  const response = made.response as AuthenticatorAttestationResponse;
  const credential = new Uint8Array(made.rawId);
  if (p.wraps && made.getClientExtensionResults().prf?.enabled !== true) {
    await forget(p.domain, credential);
    throw noPRF();
  }
  const data = parseAuthenticatorData(new Uint8Array(response.getAuthenticatorData()));
  checkVerified(data);
  if (data.credential === undefined || data.publicKey === undefined || !equal(data.credential, credential)) {
    throw new Error("the authenticator made a passkey and does not say which");
  }
  return {
    use: p.use,
    credential,
    attestationObject: new Uint8Array(response.attestationObject),
    clientDataJSON: new Uint8Array(response.clientDataJSON),
    key: `passkey ${toBase64url(credential)} ${toBase64url(data.publicKey)}`,
    synced: data.synced,
  };
}

/** Signs with whichever passkey of this domain the person chooses. */
export async function signWithAny(domain: string, challenge: Bytes): Promise<Assertion> {
  return (await get(domain, [], challenge)).assertion;
}

/** Signs with one of these passkeys. */
export async function sign(domain: string, credentials: Bytes[], challenge: Bytes): Promise<Assertion> {
  return (await get(domain, credentials, challenge)).assertion;
}

/** What a PRF gives for one wrapped file. */
export type PRFValues = AuthenticationExtensionsPRFValues;

/**
 * Signs and evaluates the PRF for the nonce of one wrapped file, with one
 * touch. The results are not part of the assertion.
 */
export async function signAndEvaluate(
  domain: string,
  credential: Bytes,
  challenge: Bytes,
  nonce: Uint8Array,
): Promise<{ assertion: Assertion; results: PRFValues }> {
  const { assertion, results } = await get(domain, [credential], challenge, prfInputs(nonce));
  if (results?.first === undefined || results.second === undefined) {
    throw new PasskeyError(
      "no-prf",
      "The passkey signed, but did not open what it keeps: this device or this browser lacks the extension PRF.",
      "Use the device and the browser with which you made the passkey, and do not delete it. Nothing was sent. " +
        `${whatWorks} If yours cannot be used now, another keykeeper can release.`,
    );
  }
  return { assertion, results };
}

/**
 * The two inputs that the format of age-encryption.org/fido2prf derives from
 * the nonce of a file. Both are needed for one file, so that one touch opens
 * one file and not two.
 */
export function prfInputs(nonce: Uint8Array): { first: Bytes; second: Bytes } {
  const label = utf8("age-encryption.org/fido2prf");
  return { first: concat(label, Uint8Array.of(1), nonce), second: concat(label, Uint8Array.of(2), nonce) };
}

const timeout = 5 * 60_000; // milliseconds: somebody may have to fetch a security key

async function get(
  domain: string,
  credentials: Bytes[],
  challenge: Bytes,
  prf?: { first: Bytes; second: Bytes },
): Promise<{ assertion: Assertion; results: PRFValues | undefined }> {
  checkBrowser();
  const options: PublicKeyCredentialRequestOptions = {
    rpId: domain,
    challenge,
    allowCredentials: credentials.map((id) => ({ type: "public-key", id })),
    userVerification: "required",
    timeout,
  };
  if (prf !== undefined) {
    options.extensions = { prf: { eval: prf } };
  }
  const got = await asking(() => navigator.credentials.get({ publicKey: options }));
  const response = got.response as AuthenticatorAssertionResponse;
  const assertion: Assertion = {
    credential: new Uint8Array(got.rawId),
    authenticatorData: new Uint8Array(response.authenticatorData),
    clientDataJSON: new Uint8Array(response.clientDataJSON),
    signature: new Uint8Array(response.signature),
  };
  checkVerified(parseAuthenticatorData(assertion.authenticatorData));
  return { assertion, results: got.getClientExtensionResults().prf?.results };
}

// Turns what a browser throws into what a person can do about it.
async function asking(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  try {
    return (await ask()) as PublicKeyCredential;
  } catch (cause) {
    throw explain(cause);
  }
}

function explain(cause: unknown): unknown {
  const name = cause instanceof DOMException ? cause.name : "";
  const error = (reason: Reason, message: string, remedy: string) => new PasskeyError(reason, message, remedy, { cause });
  switch (name) {
    case "NotAllowedError":
    case "AbortError":
      return error(
        "not-allowed",
        "The passkey was not used: it was cancelled, took too long, is not on this device, or the device could not check that it is you.",
        "Try again. The device must have a screen lock, a fingerprint, a face or a PIN set up; a security key needs a PIN.",
      );
    case "SecurityError":
      return error(
        "address",
        "The safe's passkeys do not belong to the address that this page was opened under.",
        "Open the page under the name of the safe that is in its mails, not under an IP address.",
      );
    case "InvalidStateError":
      return error("exists", "This authenticator has that passkey already.", "Use it, or take another authenticator.");
    case "ConstraintError":
    case "NotSupportedError":
      return error("unsupported", "This authenticator cannot make such a passkey: it must keep the passkey itself, and check that it is you.", whatWorks);
  }
  return cause;
}

function noPRF(): PasskeyError {
  return new PasskeyError(
    "no-prf",
    "This authenticator made a passkey that cannot keep a key: it lacks the extension PRF.",
    `Take another authenticator or browser, and delete the passkey that was just made. ${whatWorks} ` +
      "Windows Hello and passkeys in other password managers often cannot; an iPhone or Android phone can be used from this computer with its QR code.",
  );
}

function checkVerified(data: AuthenticatorData): void {
  if (!data.verified) {
    throw new PasskeyError(
      "no-verification",
      "The authenticator did not check who touched it.",
      "Set up a PIN, a fingerprint or a face on it, and try again.",
    );
  }
}

// Tells the device that a passkey is of no use, so that it need not show it.
// Where that is not possible, the error's text asks the person.
async function forget(domain: string, credential: Bytes): Promise<void> {
  const signal = (PublicKeyCredential as { signalUnknownCredential?: (o: object) => Promise<void> }).signalUnknownCredential;
  try {
    await signal?.call(PublicKeyCredential, { rpId: domain, credentialId: toBase64url(credential) });
  } catch {
    // The passkey stays in a list; that is all.
  }
}

/** The authenticator's own account of a registration or an assertion (WebAuthn, 6.1). */
export interface AuthenticatorData {
  verified: boolean;
  synced: boolean;
  credential?: Bytes;
  publicKey?: Bytes; // COSE
}

export function parseAuthenticatorData(data: Bytes): AuthenticatorData {
  const flags = data[32];
  if (data.length < 37 || flags === undefined) {
    throw new Error("the authenticator's data are too short");
  }
  const parsed: AuthenticatorData = { verified: (flags & 0x05) === 0x05, synced: (flags & 0x08) !== 0 };
  if ((flags & 0x40) !== 0) {
    const length = ((data[53] ?? 0) << 8) | (data[54] ?? 0);
    const key = 55 + length;
    parsed.credential = data.slice(55, key);
    // Extensions may follow the key, so its end has to be found.
    parsed.publicKey = data.slice(key, skipCBOR(data, key, 0));
  }
  return parsed;
}

// Returns where the CBOR item at that place ends. Only what a COSE key has is
// known: numbers, strings, and a map of them.
function skipCBOR(data: Bytes, at: number, depth: number): number {
  const head = data[at];
  if (head === undefined) {
    throw new Error("the authenticator's data end within a key");
  }
  const kind = head >> 5;
  let n = head & 0x1f;
  let next = at + 1;
  if (n >= 24 && n <= 26) {
    const size = 1 << (n - 24);
    n = 0;
    for (let i = 0; i < size; i++) {
      n = n * 256 + (data[next++] ?? 0);
    }
  } else if (n > 26) {
    throw new Error("the authenticator's key is in a form that is not known");
  }
  switch (kind) {
    case 0:
    case 1:
      break;
    case 2:
    case 3:
      next += n;
      break;
    case 5:
      if (depth > 0) {
        throw new Error("the authenticator's key is in a form that is not known");
      }
      for (let i = 0; i < 2 * n; i++) {
        next = skipCBOR(data, next, depth + 1);
      }
      break;
    default:
      throw new Error("the authenticator's key is in a form that is not known");
  }
  if (next > data.length) {
    throw new Error("the authenticator's data end within a key");
  }
  return next;
}
