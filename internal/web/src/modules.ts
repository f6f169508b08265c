// What tests of Go packages call in a browser: all modules, by name.

export * as age from "age-encryption";
export * as base64 from "./base64.ts";
export * as changes from "./changes.ts";
export * as compose from "./compose.ts";
export * as enrolment from "./enrolment.ts";
export * as envelope from "./envelope.ts";
export * as keyring from "./keyring.ts";
export * as keys from "./keys.ts";
export * as opener from "./opener.ts";
export * as paper from "./paper.ts";
export * as review from "./review.ts";
export * as roster from "./roster.ts";
export * as sshsig from "./sshsig.ts";
export * as statement from "./statement.ts";
export * as webauthn from "./webauthn.ts";
export * as words from "./words.ts";
