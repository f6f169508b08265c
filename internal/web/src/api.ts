// Requests to the safe. A page that the safe serves is signed in by a cookie,
// which scripts do not see; one that lies elsewhere keeps its session in its own
// memory.

/** What the safe answers if it did not do what was asked. Both texts are for people. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
    this.name = "Problem";
  }
}

export class Safe {
  #session = "";

  /** base is where the safe is, "" for the page's own origin. */
  constructor(private readonly base = "") {}

  /** Whether the page lies elsewhere. */
  get elsewhere(): boolean {
    return this.base !== "";
  }

  /** Keeps the session of a page that lies elsewhere. */
  useSession(id: string): void {
    this.#session = id;
  }

  get<T>(path: string): Promise<T> {
    return this.#call<T>("GET", path);
  }

  /** Posts fields, each of which the caller has named, or nothing. */
  post<T>(path: string, fields?: Record<string, unknown>): Promise<T> {
    return this.#call<T>("POST", path, fields);
  }

  async #call<T>(method: string, path: string, fields?: Record<string, unknown>): Promise<T> {
    const headers: Record<string, string> = {};
    if (this.#session !== "") {
      headers.Authorization = `Bearer ${this.#session}`;
    }
    const init: RequestInit = { method, headers, redirect: "error", cache: "no-store", credentials: this.elsewhere ? "omit" : "same-origin" };
    if (fields !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(fields);
    }
    let answer: Response;
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
    return (text === "" ? {} : JSON.parse(text)) as T;
  }
}

function problem(status: number, text: string, elsewhere: boolean): Problem {
  let told: { error?: unknown; remedy?: unknown } = {};
  try {
    told = JSON.parse(text) as typeof told;
  } catch {
    // Something between the page and the safe has answered.
  }
  const error = typeof told.error === "string" && told.error !== "" ? told.error : `The safe answered with status ${status}.`;
  const remedy = typeof told.remedy === "string" ? told.remedy : "";
  if (status === 401 && elsewhere) {
    return new Problem(status, error, "Load this page anew, and sign in again."); // its session was in its memory
  }
  return new Problem(status, error, remedy || (status === 401 ? "Sign in again." : ""));
}
