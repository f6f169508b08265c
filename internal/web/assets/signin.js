import {
  signIn
} from "./shared-7PQ6XY44.js";
import {
  Safe
} from "./shared-JPLELB65.js";
import {
  byId,
  press
} from "./shared-LCBG3BA3.js";
import "./shared-QBEIN4GJ.js";
import "./shared-GVRXV2KD.js";

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
