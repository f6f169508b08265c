// The page of a component of the map, for officers.

import { Problem, Safe } from "./api.ts";
import { byId, showError } from "./dom.ts";
import { redraw } from "./redraw.ts";
import { offerRulings } from "./rulings.ts";

const safe = new Safe();
const status = byId("say-status");

async function start(): Promise<void> {
  await offerRulings(safe, {
    part: byId("component"),
    status,
    more: "",
    redraw: async () => {
      await redraw(status);
      await start();
    },
  });
}

start().catch((error: unknown) => {
  if (error instanceof Problem && error.status === 401) {
    location.assign("/sign-in?next=%2Fmap");
    return;
  }
  showError(status, error);
});
