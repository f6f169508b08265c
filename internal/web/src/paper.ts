// The page of a private key, to be printed and locked away, as package paper
// writes it as text, but for the QR code.

/** What stands on the page. */
export interface Page {
  title: string;
  safe: string;
  made: Date;
  purpose: string[];
  secret: { label: string; key: string };
  facts: { label: string; value: string }[];
  steps: { text: string; command?: string }[];
}

const columns = 80;

// As in package paper: they hold for Bech32.
const typing = [
  "To type the key: rows in order, without the row letters, without blanks, in one line, in upper case. " +
    "After the first row there are no letters B, I and O and no digit 1: what looks like an O is a zero, like a B an eight.",
  "The last six characters are a checksum. If a character is wrong or missing, the program that reads the key says so.",
];

/** The page as text of 80 columns. */
export function paperText(p: Page): string {
  const lines: string[] = [];
  const paragraph = (first: string, s: string) => {
    wrap(s, columns - first.length).forEach((line, i) => {
      lines.push(((i === 0 ? first : " ".repeat(first.length)) + line).trimEnd());
    });
  };
  const heading = (s: string) => lines.push("", "", s, "-".repeat([...s].length));

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
    p.steps.forEach((step, i) => {
      lines.push("");
      paragraph(`${String(i + 1).padStart(2)}. `, step.text);
      for (const line of step.command?.split("\n") ?? []) {
        lines.push("      " + line);
      }
    });
  }
  return lines.join("\n") + "\n";
}

/** The key in rows of groups: its prefix alone, then five groups of four to a row. */
function rows(key: string): string[][] {
  const at = key.lastIndexOf("1") + 1;
  const groups = key.slice(at).match(/.{1,4}/g) ?? [];
  const all = [[key.slice(0, at)]];
  for (let i = 0; i < groups.length; i += 5) {
    all.push(groups.slice(i, i + 5));
  }
  return all;
}

const months = "January February March April May June July August September October November December".split(" ");

function when(t: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${t.getUTCDate()} ${months[t.getUTCMonth()]} ${t.getUTCFullYear()}, ${two(t.getUTCHours())}:${two(t.getUTCMinutes())} UTC`;
}

// Breaks s at blanks into lines of at most width characters, and what is longer
// without a blank anywhere.
function wrap(s: string, width: number): string[] {
  const lines: string[] = [];
  let line: string[] = [];
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

/** The page of a keykeeper's personal key. */
export function personalPage(p: {
  person: string;
  safe: string;
  store: string;
  url: string;
  made: Date;
  key: { recipient: string; privateLine(): string };
}): Page {
  return {
    title: `Personal key of ${p.person}`,
    safe: p.safe,
    made: p.made,
    purpose: [
      `This page brings the personal key of ${p.person} back if the passkey or its device is lost. The key opens the copies of role keys that are sealed to ${p.person} in the roster of the safe; alone it opens no backup.`,
      "Lock the page away, where nobody else comes and where it does not burn together with the device. Whoever has it can act with this key until somebody suspends it.",
    ],
    secret: { label: "Private key", key: p.key.privateLine() },
    facts: [
      { label: "Store", value: p.store },
      { label: "Address of the safe", value: p.url },
      { label: "Public key", value: p.key.recipient },
      { label: "Words of the safe. Write them here once you have compared them; the page People has them as those of the first version", value: "_".repeat(60) },
    ],
    steps: [
      {
        text: "If the passkey or its device is lost: ask any other person of the safe to suspend you at once, get a new invitation, and have somebody of your role add you with new keys.",
        command: `strongroom people suspend ${p.person} --reason "device lost"`,
      },
      {
        text: "To open the copies of role keys with stock age (1.3 or newer): type the key into a file, and take them from the newest roster, STORE/roster/NUMBER.json. The first periods may have none.",
        command:
          `jq -r '.periods[].outer_copies[]? | select(.person == "${p.person}")\n` +
          "  | .sealed' roster.json | while read -r copy; do\n" +
          "  echo $copy | base64 -d | age -d -i personal.key; done > outer.key",
      },
    ],
  };
}
