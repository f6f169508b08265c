// Makes elements. Text becomes text and never markup, so that nothing the safe
// or anybody else says can do anything in the page.

type Child = Node | string;

/** An element with attributes and children; onclick and the like are given as functions. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | boolean | ((event: Event) => void)> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name.slice("on".length), value);
    } else if (value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children);
  return element;
}

/** The element of that id, which the page has. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) {
    throw new Error(`the page has no element ${id}`);
  }
  return element;
}

/** Shows what went wrong, and what to do. */
export function showError(where: HTMLElement, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const remedy = error instanceof Error && "remedy" in error && typeof error.remedy === "string" ? error.remedy : "";
  where.replaceChildren(h("strong", { class: "error" }, sentence(message)));
  if (remedy !== "") {
    where.append(" ", h("span", {}, remedy));
  }
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/**
 * A button that does something slow: it cannot be pressed meanwhile, and what
 * fails is shown.
 */
export function action(label: string, status: HTMLElement, run: () => Promise<void>, attributes: Record<string, string> = {}): HTMLButtonElement {
  const button = h("button", { type: "button", ...attributes }, label);
  button.addEventListener("click", () => void press(button, status, run));
  return button;
}

/** What a press of such a button does. */
export async function press(button: HTMLButtonElement, status: HTMLElement, run: () => Promise<void>): Promise<void> {
  button.disabled = true;
  status.replaceChildren();
  try {
    await run();
  } catch (error) {
    showError(status, error);
  } finally {
    button.disabled = false;
  }
}

/** A field with its label. */
export function field(label: string, input: HTMLInputElement | HTMLSelectElement, help = ""): HTMLElement {
  const id = input.id;
  const parts: Child[] = [h("label", { for: id }, label), input];
  if (help !== "") {
    input.setAttribute("aria-describedby", `${id}-help`);
    parts.push(h("small", { id: `${id}-help` }, help));
  }
  return h("p", { class: "field" }, ...parts);
}

/** A field for a reason, which must be given. */
export function reasonField(id: string, longest = 1000): HTMLInputElement {
  return h("input", { id, maxlength: String(longest), required: true, autocomplete: "off", pattern: ".*\\S.*" });
}

/** Where a reason comes to stand. */
export const everybodyReads = "It stands in the ledger, and in mails to everybody.";
