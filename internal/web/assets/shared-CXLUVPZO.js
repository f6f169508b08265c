// api.ts
var Problem = class extends Error {
  constructor(status, message, remedy) {
    super(message);
    this.status = status;
    this.remedy = remedy;
    this.name = "Problem";
  }
  status;
  remedy;
};
var Safe = class {
  /** base is where the safe is, "" for the page's own origin. */
  constructor(base = "") {
    this.base = base;
  }
  base;
  #session = "";
  /** Whether the page lies elsewhere. */
  get elsewhere() {
    return this.base !== "";
  }
  /** Keeps the session of a page that lies elsewhere. */
  useSession(id) {
    this.#session = id;
  }
  get(path) {
    return this.#call("GET", path);
  }
  /** Posts fields, each of which the caller has named, or nothing. */
  post(path, fields) {
    return this.#call("POST", path, fields);
  }
  async #call(method, path, fields) {
    const headers = {};
    if (this.#session !== "") {
      headers.Authorization = `Bearer ${this.#session}`;
    }
    const init = { method, headers, redirect: "error", cache: "no-store", credentials: this.elsewhere ? "omit" : "same-origin" };
    if (fields !== void 0) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(fields);
    }
    let answer;
    try {
      answer = await fetch(this.base + path, init);
    } catch {
      const here = this.elsewhere ? `, and that its configuration names ${location.origin} under serve, passkeys, release_pages` : "";
      throw new Problem(0, `The safe cannot be reached${this.base && " at "}${this.base}.`, `Check that you are in its network${here}. Then try again.`);
    }
    const text = await answer.text();
    if (!answer.ok) {
      throw problem(answer.status, text, this.elsewhere);
    }
    return text === "" ? {} : JSON.parse(text);
  }
};
function problem(status, text, elsewhere) {
  let told = {};
  try {
    told = JSON.parse(text);
  } catch {
  }
  const error = typeof told.error === "string" && told.error !== "" ? told.error : `The safe answered with status ${status}.`;
  const remedy = typeof told.remedy === "string" ? told.remedy : "";
  if (status === 401 && elsewhere) {
    return new Problem(status, error, "Load this page anew, and sign in again.");
  }
  return new Problem(status, error, remedy || (status === 401 ? "Sign in again." : ""));
}

// dom.ts
function h(tag, attributes = {}, ...children) {
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
function byId(id) {
  const element = document.getElementById(id);
  if (element === null) {
    throw new Error(`the page has no element ${id}`);
  }
  return element;
}
function showError(where, error) {
  const message = error instanceof Error ? error.message : String(error);
  const remedy = error instanceof Error && "remedy" in error && typeof error.remedy === "string" ? error.remedy : "";
  where.replaceChildren(h("strong", { class: "error" }, sentence(message)));
  if (remedy !== "") {
    where.append(" ", h("span", {}, remedy));
  }
}
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
function action(label, status, run, attributes = {}) {
  const button = h("button", { type: "button", ...attributes }, label);
  button.addEventListener("click", () => void press(button, status, run));
  return button;
}
async function press(button, status, run) {
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
function field(label, input, help = "") {
  const id = input.id;
  const parts = [h("label", { for: id }, label), input];
  if (help !== "") {
    input.setAttribute("aria-describedby", `${id}-help`);
    parts.push(h("small", { id: `${id}-help` }, help));
  }
  return h("p", { class: "field" }, ...parts);
}
function reasonField(id, longest = 1e3) {
  return h("input", { id, maxlength: String(longest), required: true, autocomplete: "off", pattern: ".*\\S.*" });
}
var everybodyReads = "It stands in the ledger, and in mails to everybody.";

// trouble.ts
var Trouble = class extends Error {
  constructor(message, remedy, options) {
    super(message, options);
    this.remedy = remedy;
    this.name = "Trouble";
  }
  remedy;
};
var tellColleagues = "Nothing was released. Do not try again before you have spoken with your colleagues: the safe, or somebody in its place, shows something that does not hold.";
function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}

export {
  Problem,
  Safe,
  h,
  byId,
  showError,
  action,
  press,
  field,
  reasonField,
  everybodyReads,
  Trouble,
  tellColleagues,
  reasonOf
};
