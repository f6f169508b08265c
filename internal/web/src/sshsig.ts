// Signatures of operators with their SSH keys, as package sshsig checks them:
// SSHSIG of OpenSSH, in base64 on one line, of an Ed25519 key in a file or in a
// security key that was touched.

import { type Bytes, concat, equal, fromBase64, sha256, utf8 } from "./base64.ts";

/** Whether the key, a line of authorized_keys without a comment, has signed the message for that purpose. */
export async function verify(key: string, signature: string, namespace: string, message: Bytes): Promise<boolean> {
  const [kind = "", line = ""] = key.split(" ");
  const publicKey = fromBase64(line);
  const made = parse(fromBase64(signature));
  if (!equal(made.publicKey, publicKey) || made.namespace !== namespace || made.reserved !== "" || made.hash !== "sha512") {
    return false;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", message));
  let signed = concat(magic, field(utf8(namespace)), field(utf8("")), field(utf8("sha512")), field(digest));

  const parts = new Reader(publicKey);
  const raw = new Reader(made.signature);
  if (parts.text() !== kind || raw.text() !== kind) {
    return false;
  }
  const point = parts.field();
  const value = raw.field();
  switch (kind) {
    case "ssh-ed25519":
      break;
    case "sk-ssh-ed25519@openssh.com": {
      const more = raw.take(5); // what the security key adds: flags and a counter
      if (((more[0] ?? 0) & touched) === 0) {
        return false;
      }
      signed = concat(await sha256(parts.field()), more, await sha256(signed));
      break;
    }
    default:
      return false;
  }
  if (!parts.ended || !raw.ended) {
    return false;
  }
  const verifier = await crypto.subtle.importKey("raw", point, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", verifier, value, signed);
}

const magic = utf8("SSHSIG");
const touched = 0x01;

function parse(b: Bytes): { publicKey: Bytes; namespace: string; reserved: string; hash: string; signature: Bytes } {
  const r = new Reader(b);
  if (!equal(r.take(magic.length), magic) || !equal(r.take(4), Uint8Array.of(0, 0, 0, 1))) {
    throw new Error("not an SSH signature of version 1");
  }
  const parsed = { publicKey: r.field(), namespace: r.text(), reserved: r.text(), hash: r.text(), signature: r.field() };
  if (!r.ended) {
    throw new Error("an SSH signature is followed by something else");
  }
  return parsed;
}

// A string of SSH: its length in four bytes, and the bytes.
function field(b: Bytes): Bytes {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, b.length);
  return concat(length, b);
}

class Reader {
  #at = 0;

  constructor(private readonly b: Bytes) {}

  get ended(): boolean {
    return this.#at === this.b.length;
  }

  take(n: number): Bytes {
    if (this.#at + n > this.b.length) {
      throw new Error("an SSH signature or key is cut short");
    }
    return this.b.slice(this.#at, (this.#at += n));
  }

  field(): Bytes {
    return this.take(new DataView(this.take(4).buffer).getUint32(0));
  }

  text(): string {
    return new TextDecoder().decode(this.field());
  }
}
