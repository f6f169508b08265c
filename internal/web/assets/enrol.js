import {
  wordsOf
} from "./shared-IXCAECCJ.js";
import {
  encodeKeyring
} from "./shared-J55N52WJ.js";
import {
  Safe,
  Trouble,
  action,
  byId,
  field,
  h,
  showError
} from "./shared-CXLUVPZO.js";
import {
  PrivateKey,
  parseKeyFile,
  sealCopy,
  wrap
} from "./shared-F6GVJO2D.js";
import {
  checkBrowser,
  fromBase64,
  fromBase64url,
  register,
  sha256,
  spell,
  spellTime,
  text,
  toBase64
} from "./shared-JFX4GKKW.js";

// enrolment.ts
var openAgain = "Open the link of your invitation once more. It is good for half an hour, until your keys were sent.";
function parseInvitation(fragment) {
  if (fragment === "" || fragment === "#") {
    throw new Trouble("This page begins with the link of an invitation, and does not keep it.", openAgain);
  }
  const broken = new Trouble("The link of the invitation is not whole.", "Copy all of it, from https:// to its end. Whoever keeps the safe’s host makes a new one: strongroom people invite.");
  let i;
  try {
    i = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64url(fragment.replace(/^#/, ""))));
  } catch {
    throw broken;
  }
  const { safe: safe2, store, person, roles, token } = i;
  if (![safe2, store, person, token].every((s) => typeof s === "string" && s !== "") || !Array.isArray(roles) || roles.length === 0 || !roles.every((r) => typeof r === "string")) {
    throw broken;
  }
  return { safe: safe2, store, person, roles, token };
}
function encodeEnrolment(e) {
  const p = e.person;
  const person = { name: p.name };
  if (p.fullName !== "") {
    person.full_name = text(p.fullName);
  }
  person.roles = [...p.roles].sort();
  if (p.mail !== "") {
    person.mail = p.mail;
  }
  if (p.key !== void 0) {
    person.key = p.key;
  }
  person.passkeys = p.passkeys.map((k) => k.synced ? { key: k.key, use: k.use, synced: true } : { key: k.key, use: k.use });
  const enrolment2 = { v: 1, store: e.store, time: spellTime(e.time), person, domain: e.domain };
  if (e.outer !== void 0) {
    enrolment2.outer = e.outer;
  }
  if (e.outerCopy !== void 0) {
    enrolment2.outer_copy = toBase64(e.outerCopy);
  }
  return spell(enrolment2);
}

// paper.ts
var columns = 80;
var typing = [
  "To type the key: rows in order, without the row letters, without blanks, in one line, in upper case. After the first row there are no letters B, I and O and no digit 1: what looks like an O is a zero, like a B an eight.",
  "The last six characters are a checksum. If a character is wrong or missing, the program that reads the key says so."
];
function paperText(p) {
  const lines = [];
  const paragraph = (first, s) => {
    wrap2(s, columns - first.length).forEach((line, i) => {
      lines.push(((i === 0 ? first : " ".repeat(first.length)) + line).trimEnd());
    });
  };
  const heading = (s) => lines.push("", "", s, "-".repeat([...s].length));
  paragraph("", p.title);
  lines.push("=".repeat(Math.min([...p.title].length, columns)), "");
  paragraph("", `Strongroom, safe ${p.safe}. Made ${when(p.made)}.`);
  for (const s of p.purpose) {
    lines.push("");
    paragraph("", s);
  }
  heading(p.secret.label);
  lines.push("");
  paragraph("  ", p.secret.key);
  lines.push("");
  rows(p.secret.key).forEach((groups, i) => lines.push(`    ${String.fromCharCode(65 + i)}   ${groups.join(" ")}`));
  for (const s of typing) {
    lines.push("");
    paragraph("", s);
  }
  if (p.facts.length > 0) {
    heading("To compare");
    for (const fact of p.facts) {
      lines.push("");
      paragraph("", fact.label + ":");
      paragraph("    ", fact.value);
    }
  }
  if (p.steps.length > 0) {
    heading("How to use it");
    p.steps.forEach((step2, i) => {
      lines.push("");
      paragraph(`${String(i + 1).padStart(2)}. `, step2.text);
      for (const line of step2.command?.split("\n") ?? []) {
        lines.push("      " + line);
      }
    });
  }
  return lines.join("\n") + "\n";
}
function rows(key) {
  const at = key.lastIndexOf("1") + 1;
  const groups = key.slice(at).match(/.{1,4}/g) ?? [];
  const all = [[key.slice(0, at)]];
  for (let i = 0; i < groups.length; i += 5) {
    all.push(groups.slice(i, i + 5));
  }
  return all;
}
var months = "January February March April May June July August September October November December".split(" ");
function when(t) {
  const two = (n) => String(n).padStart(2, "0");
  return `${t.getUTCDate()} ${months[t.getUTCMonth()]} ${t.getUTCFullYear()}, ${two(t.getUTCHours())}:${two(t.getUTCMinutes())} UTC`;
}
function wrap2(s, width) {
  const lines = [];
  let line = [];
  for (const word of s.split(/\s+/).filter((w) => w !== "")) {
    let rest = [...word];
    if (line.length > 0 && line.length + 1 + rest.length > width) {
      lines.push(line.join(""));
      line = [];
    }
    if (line.length > 0) {
      line.push(" ");
    }
    while (rest.length > width) {
      lines.push(rest.slice(0, width).join(""));
      rest = rest.slice(width);
    }
    line.push(...rest);
  }
  lines.push(line.join(""));
  return lines;
}
function personalPage(p) {
  return {
    title: `Personal key of ${p.person}`,
    safe: p.safe,
    made: p.made,
    purpose: [
      `This page brings the personal key of ${p.person} back if the passkey or its device is lost. The key opens the copies of role keys that are sealed to ${p.person} in the roster of the safe; alone it opens no backup.`,
      "Lock the page away, where nobody else comes and where it does not burn together with the device. Whoever has it can act with this key until somebody suspends it."
    ],
    secret: { label: "Private key", key: p.key.privateLine() },
    facts: [
      { label: "Store", value: p.store },
      { label: "Address of the safe", value: p.url },
      { label: "Public key", value: p.key.recipient },
      { label: "Words of the safe. Write them here once you have compared them; the page People has them as those of the first version", value: "_".repeat(60) }
    ],
    steps: [
      {
        text: "If the passkey or its device is lost: ask any other person of the safe to suspend you at once, get a new invitation, and have somebody of your role add you with new keys.",
        command: `strongroom people suspend ${p.person} --reason "device lost"`
      },
      {
        text: "To open the copies of role keys with stock age (1.3 or newer): type the key into a file, and take them from the newest roster, STORE/roster/NUMBER.json. The first periods may have none.",
        command: `jq -r '.periods[].outer_copies[]? | select(.person == "${p.person}")
  | .sealed' roster.json | while read -r copy; do
  echo $copy | base64 -d | age -d -i personal.key; done > outer.key`
      }
    ]
  };
}

// enrol.ts
var status = byId("enrol-status");
var safe = new Safe();
function start() {
  const invitation = parseInvitation(location.hash);
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
    const begun = await safe.post("/v1/passkeys/begin", { token: invitation.token });
    const draft = { invitation, begun, fullName: name.value.trim(), mail: mail.value.trim(), passkeys: [] };
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
    h("p", { class: "actions" }, begin)
  );
}
function step(name) {
  return byId(`enrol-${name}`);
}
function done(where, ...controls) {
  for (const control of controls) {
    (control.closest("p") ?? control).remove();
  }
  where.classList.add("done");
  where.append(h("p", {}, "Done."));
}
function makePasskey(draft, use, wraps) {
  return register({
    use,
    wraps,
    domain: draft.begun.domain,
    safe: draft.begun.name,
    person: draft.invitation.person,
    fullName: draft.fullName,
    challenge: fromBase64(draft.begun.challenge)
  });
}
function makeSignIn(draft) {
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
function makeRelease(draft) {
  const where = step("release");
  const button = action("Make the passkey that signs", status, async () => {
    const made = await makePasskey(draft, "release", draft.personal !== void 0);
    draft.passkeys.push(made);
    if (made.synced) {
      where.append(h("p", {}, "This passkey is copied to your other devices by its provider. Whoever gets into your account there has it: protect that account well, or take a security key."));
    }
    if (draft.personal === void 0) {
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
function wrapPersonal(draft, personal, passkey) {
  const where = step("release");
  const button = action("Put your personal key under this passkey", status, async () => {
    draft.wrappedPersonal = await wrap(personal, passkey, /* @__PURE__ */ new Date());
    done(where, button);
    if (draft.begun.founding !== void 0) {
      foundWith(draft, personal, passkey, draft.begun.founding.outer);
    } else {
      showPaper(draft, personal);
    }
  }, { class: "first" });
  where.append(h("p", { class: "actions" }, button));
  button.focus();
}
function foundWith(draft, personal, passkey, recipient) {
  const where = step("release");
  const make = action("Make the outer key", status, async () => {
    draft.outer = await PrivateKey.generate("outer");
    form.remove();
    showPaper(draft, personal);
  }, { class: "first" });
  const file = h("input", { id: "outer-file", type: "file" });
  const bring = action("Bring the outer key", status, async () => {
    const chosen = file.files?.[0];
    if (chosen === void 0 || chosen.size > 64 << 10) {
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
      h("p", { class: "actions" }, bring)
    )
  );
  where.append(form);
  make.focus();
}
function wrapOuter(draft, personal, passkey, outer) {
  const where = step("release");
  const button = action("Put the outer key under this passkey, too", status, async () => {
    draft.wrappedOuter = await wrap(outer, passkey, /* @__PURE__ */ new Date());
    button.closest("p")?.remove();
    showPaper(draft, personal);
  }, { class: "first" });
  where.append(h("p", { class: "actions" }, button));
  button.focus();
}
function showPaper(draft, personal) {
  const where = step("paper");
  const page = personalPage({
    person: draft.invitation.person,
    safe: draft.invitation.safe,
    store: draft.invitation.store,
    url: location.origin,
    made: /* @__PURE__ */ new Date(),
    key: personal
  });
  const paper = h("pre", { id: "paper", class: "paper", tabindex: "0", "aria-label": "Page with your personal key" }, paperText(page));
  const check = h("input", { id: "paper-check", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "12" });
  const print = action("Print it", status, async () => window.print());
  const go = action("I have it on paper", status, async () => {
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
    h("p", { class: "actions" }, go)
  );
  print.focus();
}
function send(draft) {
  const where = step("words");
  let bytes;
  const button = action("Send your public keys to the safe", status, async () => {
    bytes ??= await enrolment(draft);
    const fields = {
      token: draft.invitation.token,
      enrolment: toBase64(bytes),
      passkeys: draft.passkeys.map((p) => ({
        use: p.use,
        attestation_object: toBase64(p.attestationObject),
        client_data: toBase64(p.clientDataJSON)
      }))
    };
    const keyring = keyringOf(draft);
    if (keyring !== void 0) {
      fields.keyring = toBase64(keyring);
    }
    if (document.getElementById("words") === null) {
      where.append(
        h("p", { id: "words", class: "words" }, wordsOf(await sha256(bytes))),
        ...draft.begun.founding === void 0 ? [] : [h("p", {}, founding)]
      );
    }
    await safe.post("/v1/enrol", fields);
    done(where, button);
    status.textContent = "You are enrolled. Close this page once the words were compared.";
  }, { class: "first" });
  where.append(h("p", { class: "actions" }, button));
  button.focus();
}
var founding = "Nobody stands in the roster yet. An operator who has enrolled from a terminal takes all in (strongroom people add, and the names of all), and hears your words. Then sign in, and agree on the page People.";
async function enrolment(draft) {
  const now = /* @__PURE__ */ new Date();
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
      passkeys: draft.passkeys
    },
    domain: begun.domain,
    outer: outer?.recipient !== begun.founding?.outer ? outer?.recipient : void 0,
    // one that is brought is known
    outerCopy: personal && outer && await sealCopy(outer, personal.recipient, now)
  });
}
function keyringOf(draft) {
  const release = draft.passkeys.find((p) => p.use === "release");
  if (release === void 0 || draft.wrappedPersonal === void 0) {
    return void 0;
  }
  return encodeKeyring({
    store: draft.invitation.store,
    person: draft.invitation.person,
    credential: release.credential,
    time: /* @__PURE__ */ new Date(),
    personal: draft.wrappedPersonal,
    periods: periodsOf(draft)
  });
}
function periodsOf({ begun: { founding: founding2 }, wrappedOuter }) {
  if (founding2 === void 0 || wrappedOuter === void 0) {
    return /* @__PURE__ */ new Map();
  }
  return /* @__PURE__ */ new Map([[founding2.period, wrappedOuter]]);
}
addEventListener("hashchange", () => location.reload());
try {
  start();
} catch (error) {
  showError(status, error);
}
