// Keys in the page's memory: the personal key of a keykeeper and outer keys,
// all hybrid keys of age. What is sealed here, Go's package seal opens, and the
// other way round; docs/format.md has the forms.
//
// Nothing here sends anything. That a key does not leave the page by accident,
// in a message or a log, is what PrivateKey sees to; whoever needs its text
// asks for it by name.

import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient, webauthn } from "age-encryption";
import { type Bytes, toBase64url, utf8 } from "./base64.ts";
import { spellTime } from "./statement.ts";
import { type Assertion, type PRFValues, signAndEvaluate } from "./webauthn.ts";

/** What a key file of this key says it is for. */
export type Role = "outer" | "personal";

/** Something is sealed to another key than the one that was tried, or its header is damaged. */
export class WrongKeyError extends Error {
  constructor() {
    super("it is sealed to another key, or its header is damaged");
    this.name = "WrongKeyError";
  }
}

/** A private key of one role. It redacts itself. */
export class PrivateKey<R extends Role> {
  readonly #line: string;
  readonly role: R;
  readonly recipient: string; // the public half, "age1pq1..."

  private constructor(role: R, line: string, recipient: string) {
    this.#line = line;
    this.role = role;
    this.recipient = recipient;
  }

  static async generate<R extends Role>(role: R): Promise<PrivateKey<R>> {
    return PrivateKey.parse(role, await generateHybridIdentity());
  }

  /** Reads the line of a key. The error holds nothing of it. */
  static async parse<R extends Role>(role: R, line: string): Promise<PrivateKey<R>> {
    try {
      if (line.startsWith("AGE-SECRET-KEY-PQ-1")) {
        return new PrivateKey(role, line, await identityToRecipient(line));
      }
    } catch {
      // as below
    }
    throw new Error("not a private key of the form AGE-SECRET-KEY-PQ-1..., or a character of it is wrong or missing");
  }

  /** The key itself, to be printed on paper or handed to a Worker of this page. */
  privateLine(): string {
    return this.#line;
  }

  /** The key as a key file, which age reads too. */
  keyFile(made: Date): string {
    return `# strongroom ${this.role} key, made ${spellTime(made)}\n# public key: ${this.recipient}\n${this.#line}\n`;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): never {
    throw new Error("a private key is not written into a document");
  }
}

/** Bounds of what is opened, as in package seal. */
const maxCopy = 16 << 10;
const maxProof = 16 << 10;

/** Seals to a public key. */
export async function sealTo(recipient: string, plain: Bytes): Promise<Bytes> {
  checkRecipient(recipient);
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return own(await encrypter.encrypt(plain));
}

function checkRecipient(recipient: string): void {
  if (!recipient.startsWith("age1pq1")) {
    throw new Error("not a post-quantum public key: it does not begin with age1pq1");
  }
}

const ageIntro = "age-encryption.org/v1\n";

/** Opens what was sealed to the public half of a key. */
export async function open(key: PrivateKey<Role>, sealed: Bytes, max: number): Promise<Bytes> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(key.privateLine());
  return decrypt(decrypter, sealed, max);
}

async function decrypt(decrypter: Decrypter, sealed: Bytes, max: number): Promise<Bytes> {
  if (sealed.length > max) {
    throw new Error(`it has ${sealed.length} bytes, at most ${max} are possible`);
  }
  const intro = utf8(ageIntro);
  if (!intro.every((byte, i) => sealed[i] === byte)) {
    throw new Error("it is not an age file");
  }
  try {
    return own(await decrypter.decrypt(sealed));
  } catch (cause) {
    if (cause instanceof Error && cause.message === "no identity matched any of the file's recipients") {
      throw new WrongKeyError();
    }
    throw cause;
  }
}

// age's bytes are never in shared memory.
function own(b: Uint8Array): Bytes {
  return b as Bytes;
}

/** A person's copy of an outer key: the key file, sealed to the person's own key. */
export function sealCopy(key: PrivateKey<"outer">, person: string, made: Date): Promise<Bytes> {
  return sealTo(person, utf8(key.keyFile(made)));
}

/**
 * Opens a person's copy of an outer key. A copy that holds any key but the
 * private half of want is refused: whoever can replace copies could have people
 * use a key of theirs.
 */
export async function openCopy(person: PrivateKey<"personal">, copy: Bytes, want: string): Promise<PrivateKey<"outer">> {
  return parseKeyFile("outer", await open(person, copy, maxCopy), want);
}

/** Reads a key file as package seal does; want is the public half of the key that must be in it. */
export async function parseKeyFile<R extends Role>(role: R, file: Bytes, want: string): Promise<PrivateKey<R>> {
  let key: PrivateKey<R> | undefined;
  for (const raw of new TextDecoder("utf-8", { fatal: true }).decode(file).split("\n")) {
    const line = raw.trim();
    if (line.startsWith("# strongroom ") && !line.startsWith(`# strongroom ${role} key`)) {
      throw new Error("a key file says that it is another key");
    }
    if (line === "" || line.startsWith("#")) {
      continue;
    }
    if (key !== undefined) {
      throw new Error("a key file with a second key");
    }
    key = await PrivateKey.parse(role, line);
  }
  if (key?.recipient !== want) {
    throw new Error(`it holds another key than the private half of ${want.slice(0, 24)}... which was asked for`);
  }
  return key;
}

/** Answers the safe's challenge to show that one holds an outer key: the nonce, as it is sent back. */
export async function answerOuterProof(key: PrivateKey<"outer">, challenge: Bytes): Promise<string> {
  const plain = new TextDecoder().decode(await open(key, challenge, maxProof));
  const nonce = /^strongroom\/v1\/proof\nouter\n([0-9a-f]{64})\n$/.exec(plain)?.[1];
  if (nonce === undefined || plain.length !== "strongroom/v1/proof\nouter\n".length + 65) {
    throw new Error("what is under the seal is not such a challenge, and is not disclosed");
  }
  return toBase64url(Uint8Array.from(nonce.match(/../g) ?? [], (digits) => parseInt(digits, 16)));
}

// Keys are wrapped under a passkey as age files with a stanza of the type
// age-encryption.org/fido2prf, whose nonce is new for each file. Any program
// that knows that type opens them with the authenticator. Package age-encryption
// has it; what asks for the touch is replaced, so that the same touch signs
// something of ours.

/** The PRF of one passkey, for the nonce of one file: one touch. */
export type Evaluate = (nonce: Uint8Array) => Promise<PRFValues>;

class PasskeyRecipient extends webauthn.WebAuthnRecipient {
  constructor(private readonly evaluate: Evaluate) {
    super();
  }
  protected override getCredential(nonce: Uint8Array): Promise<PRFValues> {
    return this.evaluate(nonce);
  }
}

class PasskeyIdentity extends webauthn.WebAuthnIdentity {
  constructor(private readonly evaluate: Evaluate) {
    super();
  }
  protected override getCredential(nonce: Uint8Array): Promise<PRFValues> {
    return this.evaluate(nonce);
  }
}

/** A passkey for releases, as a person's page knows it. */
export interface Passkey {
  domain: string; // the RP ID
  credential: Bytes;
}

/**
 * Wraps a key under the passkey, with one touch. Only this passkey opens the
 * file again, and one touch opens this file and no other.
 */
export async function wrap(key: PrivateKey<Role>, passkey: Passkey, made: Date): Promise<Bytes> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(new PasskeyRecipient(async (nonce) => (await touch(passkey, unused(), nonce)).results));
  return own(await encrypter.encrypt(utf8(key.keyFile(made))));
}

/** Unwraps a key with one touch; want is its public half. */
export async function unwrap<R extends Role>(role: R, file: Bytes, passkey: Passkey, want: string): Promise<PrivateKey<R>> {
  return (await unwrapAndSign(role, file, passkey, want, unused())).key;
}

/** Unwraps a key and signs a challenge, with one touch for both. */
export async function unwrapAndSign<R extends Role>(
  role: R,
  file: Bytes,
  passkey: Passkey,
  want: string,
  challenge: Bytes,
): Promise<{ key: PrivateKey<R>; assertion: Assertion }> {
  let assertion: Assertion | undefined;
  const decrypter = new Decrypter();
  decrypter.addIdentity(
    new PasskeyIdentity(async (nonce) => {
      if (assertion !== undefined) {
        throw new Error("a wrapped key asks for a second touch");
      }
      const touched = await touch(passkey, challenge, nonce);
      assertion = touched.assertion;
      return touched.results;
    }),
  );
  const plain = await decrypt(decrypter, file, maxCopy);
  if (assertion === undefined) {
    throw new Error("a wrapped key opened without a touch"); // no other identity was there to open it
  }
  return { key: await parseKeyFile(role, plain, want), assertion };
}

function touch(passkey: Passkey, challenge: Bytes, nonce: Uint8Array): Promise<{ assertion: Assertion; results: PRFValues }> {
  return signAndEvaluate(passkey.domain, passkey.credential, challenge, nonce);
}

// A challenge for a touch whose signature is not used.
function unused(): Bytes {
  return crypto.getRandomValues(new Uint8Array(32));
}
