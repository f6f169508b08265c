// The page "Enrol": makes a person's passkeys and, for a keykeeper, the
// personal key, which the passkey for releases wraps. One press of a button for
// each touch: browsers want to see that the person means it.

import { Safe } from "./api.ts";
import { type Bytes, fromBase64, sha256, toBase64 } from "./base64.ts";
import { action, byId, field, h, showError } from "./dom.ts";
import { encodeEnrolment, type Invitation, parseInvitation } from "./enrolment.ts";
import { type Passkey, parseKeyFile, PrivateKey, sealCopy, wrap } from "./keys.ts";
import { encodeKeyring } from "./keyring.ts";
import { paperText, personalPage } from "./paper.ts";
import { checkBrowser, register, type Registration, type Use } from "./webauthn.ts";
import { wordsOf } from "./words.ts";

/** What the safe says of itself to somebody who is invited. */
interface Begun {
  challenge: string; // base64
  domain: string;
  name: string; // of the safe
  // For a keykeeper who founds the safe:
  founding?: {
    outer: string; // public half of the outer key of the newest period
    period: number; // its number
  };
}

// What has been made so far. It is all in this page's memory: who closes it
// begins anew, and nothing was sent.
interface Draft {
  invitation: Invitation;
  begun: Begun;
  fullName: string;
  mail: string;
  passkeys: Registration[];
  personal?: PrivateKey<"personal">;
  outer?: PrivateKey<"outer">; // made here, or brought, by a founder
  wrappedPersonal?: Bytes;
  wrappedOuter?: Bytes;
}

const status = byId("enrol-status");
const safe = new Safe();

function start(): void {
  const invitation = parseInvitation(location.hash);
  // The token shall not stay in the history of this browser.
  history.replaceState(null, "", location.pathname);
  if (invitation.roles.includes("operator")) {
    throw new Error("Operators enrol from a terminal, with their SSH key: strongroom enrol, and the link of the invitation in quotes.");
  }
  checkBrowser();
  const name = h("input", { id: "full-name", autocomplete: "name", maxlength: "200" });
  const mail = h("input", { id: "mail", type: "email", autocomplete: "email", maxlength: "254" });
  const keykeeper = invitation.roles.includes("keykeeper");
  const begin = action("Begin", status, async () => {
    if (!mail.reportValidity()) {
      return;
    }
    const begun = await safe.post<Begun>("/v1/passkeys/begin", { token: invitation.token });
    const draft: Draft = { invitation, begun, fullName: name.value.trim(), mail: mail.value.trim(), passkeys: [] };
    if (keykeeper) {
      draft.personal = await PrivateKey.generate("personal");
    }
    done(step("check"), name, mail, begin);
    makeSignIn(draft);
  }, { class: "first" });
  step("check").append(
    h("p", {}, "You are ", h("bdi", {}, h("strong", {}, invitation.person)), `, ${invitation.roles.join(" and ")} of the safe `, h("bdi", {}, invitation.safe), "."),
    field("Your name, as others know it", name),
    field("Address for mails", mail, "The safe tells you there what happens, and when you are needed. Without one you get no mails."),
    h("p", { class: "actions" }, begin),
  );
}

function step(name: "check" | "sign-in" | "release" | "paper" | "words"): HTMLElement {
  return byId(`enrol-${name}`);
}

// Marks a step as done, and takes its controls away.
function done(where: HTMLElement, ...controls: HTMLElement[]): void {
  for (const control of controls) {
    (control.closest("p") ?? control).remove();
  }
  where.classList.add("done");
  where.append(h("p", {}, "Done."));
}

function makePasskey(draft: Draft, use: Use, wraps: boolean): Promise<Registration> {
  return register({
    use,
    wraps,
    domain: draft.begun.domain,
    safe: draft.begun.name,
    person: draft.invitation.person,
    fullName: draft.fullName,
    challenge: fromBase64(draft.begun.challenge),
  });
}

function makeSignIn(draft: Draft): void {
  const where = step("sign-in");
  const button = action("Make the passkey for looking", status, async () => {
    draft.passkeys.push(await makePasskey(draft, "sign-in", false));
    done(where, button);
    if (draft.invitation.roles.some((role) => role === "keykeeper" || role === "officer")) {
      makeRelease(draft);
    } else {
      step("release").hidden = true;
      step("paper").hidden = true;
      send(draft);
    }
  }, { class: "first" });
  where.append(h("p", { class: "actions" }, button));
  button.focus();
}

function makeRelease(draft: Draft): void {
  const where = step("release");
  const button = action("Make the passkey that signs", status, async () => {
    const made = await makePasskey(draft, "release", draft.personal !== undefined);
    draft.passkeys.push(made);
    if (made.synced) {
      where.append(h("p", {}, "This passkey is copied to your other devices by its provider. Whoever gets into your account there has it: protect that account well, or take a security key."));
    }
    if (draft.personal === undefined) {
      done(where, button);
      step("paper").hidden = true;
      send(draft);
      return;
    }
    button.closest("p")?.remove();
    wrapPersonal(draft, draft.personal, { domain: draft.begun.domain, credential: made.credential });
  }, { class: "first" });
  where.append(h("p", { class: "actions" }, button));
  button.focus();
}

function wrapPersonal(draft: Draft, personal: PrivateKey<"personal">, passkey: Passkey): void {
  const where = step("release");
  const button = action("Put your personal key under this passkey", status, async () => {
    draft.wrappedPersonal = await wrap(personal, passkey, new Date());
    done(where, button);
    if (draft.begun.founding !== undefined) {
      foundWith(draft, personal, passkey, draft.begun.founding.outer);
    } else {
      showPaper(draft, personal);
    }
  }, { class: "first" });
  where.append(h("p", { class: "actions" }, button));
  button.focus();
}

// A founder makes the keepers' outer key here, or brings the one that the safe
// was made with.
function foundWith(draft: Draft, personal: PrivateKey<"personal">, passkey: Passkey, recipient: string): void {
  const where = step("release");
  const make = action("Make the outer key", status, async () => {
    draft.outer = await PrivateKey.generate("outer");
    form.remove();
    showPaper(draft, personal);
  }, { class: "first" });
  const file = h("input", { id: "outer-file", type: "file" });
  const bring = action("Bring the outer key", status, async () => {
    const chosen = file.files?.[0];
    if (chosen === undefined || chosen.size > 64 << 10) {
      throw new Error("Choose the file of the outer key.");
    }
    const outer = await parseKeyFile("outer", new Uint8Array(await chosen.arrayBuffer()), recipient);
    draft.outer = outer;
    form.remove();
    wrapOuter(draft, personal, passkey, outer);
  });
  const skip = action("Another keykeeper has it", status, async () => {
    form.remove();
    showPaper(draft, personal);
  });
  const form = h(
    "div",
    {},
    h("p", {}, "You are among those who found this safe. One keykeeper makes the outer key of all keykeepers, and gives it to the others once they are in the roster. It leaves this page only as a copy that your personal key opens."),
    h("p", { class: "actions" }, make, skip),
    h(
      "details",
      {},
      h("summary", {}, "It was made before the safe was"),
      field("The file of the outer key", file, "It is sealed to your personal key here, and does not leave this page otherwise."),
      h("p", { class: "actions" }, bring),
    ),
  );
  where.append(form);
  make.focus();
}

function wrapOuter(draft: Draft, personal: PrivateKey<"personal">, passkey: Passkey, outer: PrivateKey<"outer">): void {
  const where = step("release");
  const button = action("Put the outer key under this passkey, too", status, async () => {
    draft.wrappedOuter = await wrap(outer, passkey, new Date());
    button.closest("p")?.remove();
    showPaper(draft, personal);
  }, { class: "first" });
  where.append(h("p", { class: "actions" }, button));
  button.focus();
}

function showPaper(draft: Draft, personal: PrivateKey<"personal">): void {
  const where = step("paper");
  const page = personalPage({
    person: draft.invitation.person,
    safe: draft.invitation.safe,
    store: draft.invitation.store,
    url: location.origin,
    made: new Date(),
    key: personal,
  });
  const paper = h("pre", { id: "paper", class: "paper", tabindex: "0", "aria-label": "Page with your personal key" }, paperText(page));
  const check = h("input", { id: "paper-check", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "12" });
  const print = action("Print it", status, async () => window.print());
  const go = action("I have it on paper", status, async () => {
    // From the paper, so that there is one before the key is gone.
    const typed = check.value.trim().toUpperCase().replaceAll(" ", "");
    if (typed.length < 4 || !personal.privateLine().endsWith(typed)) {
      throw new Error("These are not the last characters of the key.");
    }
    paper.remove();
    done(where, print, check, go);
    send(draft);
  }, { class: "first" });
  where.append(
    h("p", {}, "It is shown this once. Print it, or write it down, and lock it away: who has it can act with your key."),
    paper,
    h("p", { class: "actions" }, print),
    field("The last four characters of the key, from the paper", check),
    h("p", { class: "actions" }, go),
  );
  print.focus();
}

function send(draft: Draft): void {
  const where = step("words");
  let bytes: Bytes | undefined; // the same at each attempt, as are the words
  const button = action("Send your public keys to the safe", status, async () => {
    bytes ??= await enrolment(draft);
    const fields: Record<string, unknown> = {
      token: draft.invitation.token,
      enrolment: toBase64(bytes),
      passkeys: draft.passkeys.map((p) => ({
        use: p.use,
        attestation_object: toBase64(p.attestationObject),
        client_data: toBase64(p.clientDataJSON),
      })),
    };
    const keyring = keyringOf(draft);
    if (keyring !== undefined) {
      fields.keyring = toBase64(keyring);
    }
    if (document.getElementById("words") === null) {
      // Before the answer: should it be lost on its way, the safe has the keys, and
      // the words are needed all the same.
      where.append(
        h("p", { id: "words", class: "words" }, wordsOf(await sha256(bytes))),
        ...(draft.begun.founding === undefined ? [] : [h("p", {}, founding)]),
      );
    }
    await safe.post("/v1/enrol", fields);
    done(where, button);
    status.textContent = "You are enrolled. Close this page once the words were compared.";
  }, { class: "first" });
  where.append(h("p", { class: "actions" }, button));
  button.focus();
}

const founding =
  "Nobody stands in the roster yet. An operator who has enrolled from a terminal takes all in (strongroom people add, and the names of all), and hears your words. Then sign in, and agree on the page People.";

async function enrolment(draft: Draft): Promise<Bytes> {
  const now = new Date();
  const { personal, outer, begun, invitation } = draft;
  return encodeEnrolment({
    store: invitation.store,
    time: now,
    person: {
      name: invitation.person,
      fullName: draft.fullName,
      roles: invitation.roles,
      mail: draft.mail,
      key: personal?.recipient,
      passkeys: draft.passkeys,
    },
    domain: begun.domain,
    outer: outer?.recipient !== begun.founding?.outer ? outer?.recipient : undefined, // one that is brought is known
    outerCopy: personal && outer && (await sealCopy(outer, personal.recipient, now)),
  });
}

function keyringOf(draft: Draft): Bytes | undefined {
  const release = draft.passkeys.find((p) => p.use === "release");
  if (release === undefined || draft.wrappedPersonal === undefined) {
    return undefined;
  }
  return encodeKeyring({
    store: draft.invitation.store,
    person: draft.invitation.person,
    credential: release.credential,
    time: new Date(),
    personal: draft.wrappedPersonal,
    periods: periodsOf(draft),
  });
}

// The key that a founder brings is that of the newest period.
function periodsOf({ begun: { founding }, wrappedOuter }: Draft): Map<number, Bytes> {
  if (founding === undefined || wrappedOuter === undefined) {
    return new Map();
  }
  return new Map([[founding.period, wrappedOuter]]);
}

// Another link in the same window, or the same one once more, changes nothing
// but the fragment.
addEventListener("hashchange", () => location.reload());
try {
  start();
} catch (error) {
  showError(status, error);
}
