import {
  signIn
} from "./shared-35SH5IRH.js";
import {
  Safe,
  byId,
  press
} from "./shared-CXLUVPZO.js";
import "./shared-JFX4GKKW.js";

// signin.ts
var button = byId("sign-in-button");
var status = byId("sign-in-status");
button.addEventListener("click", () => {
  void press(button, status, async () => {
    status.textContent = "Touch your passkey when your device asks for it.";
    await signIn(new Safe());
    location.assign(destination());
  });
});
function destination() {
  const url = new URL(new URLSearchParams(location.search).get("next") ?? "/", location.origin);
  return url.origin === location.origin ? url.href : "/";
}
