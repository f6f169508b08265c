// The page "Sign in".

import { Safe } from "./api.ts";
import { byId, press } from "./dom.ts";
import { signIn } from "./session.ts";

const button = byId("sign-in-button") as HTMLButtonElement;
const status = byId("sign-in-status");

button.addEventListener("click", () => {
  void press(button, status, async () => {
    status.textContent = "Touch your passkey when your device asks for it.";
    await signIn(new Safe());
    location.assign(destination());
  });
});

// Where the person wanted to go. Anybody can have made the link that led here,
// so it is an address of this safe, or the first page.
function destination(): string {
  const url = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
  return url.origin === location.origin ? url.href : "/";
}
