import {
  offerRulings
} from "./shared-JV6QFNSZ.js";
import "./shared-GUHBJKB6.js";
import {
  redraw
} from "./shared-JMBBHRIC.js";
import {
  Problem,
  Safe,
  byId,
  showError
} from "./shared-CXLUVPZO.js";
import "./shared-JFX4GKKW.js";

// component.ts
var safe = new Safe();
var status = byId("say-status");
async function start() {
  await offerRulings(safe, {
    part: byId("component"),
    status,
    more: "",
    redraw: async () => {
      await redraw(status);
      await start();
    }
  });
}
start().catch((error) => {
  if (error instanceof Problem && error.status === 401) {
    location.assign("/sign-in?next=%2Fmap");
    return;
  }
  showError(status, error);
});
