/** Something that does not hold, with what a person at the page is to do about it. Both texts are for them. */
export class Trouble extends Error {
  constructor(
    message: string,
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "Trouble";
  }
}

/** What to do if the safe, or somebody in its place, shows what cannot be. */
export const tellColleagues = "Nothing was released. Do not try again before you have spoken with your colleagues: the safe, or somebody in its place, shows something that does not hold.";

/** The error's text, to stand within another one. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
