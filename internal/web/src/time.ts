// Times as pages write them beside those of the safe: in UTC, and saying so.

export function when(t: Date): string {
  return `${t.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

export function day(t: Date): string {
  return t.toISOString().slice(0, 10);
}
