// Drawing a page anew after something was done on it: what the safe drew before
// tells how things were.

import { byId, h } from "./dom.ts";

/** A page, or a part of one, that shows how things are. */
export interface Drawn {
  status: HTMLElement;
  redraw: () => Promise<void>; // all of it but its status, as things are now
}

export function again(): HTMLElement {
  return h("a", { href: location.pathname + location.search }, "Look at it anew");
}

/** Says what was done, and shows how things are now. */
export async function ended(at: Drawn, text: string, more = ""): Promise<void> {
  at.status.replaceChildren(h("span", { class: "ended" }, h("strong", {}, text), " ", more));
  try {
    await at.redraw();
  } catch {
    at.status.append(" ", again()); // it is done all the same
  }
  at.status.tabIndex = -1;
  at.status.focus(); // what was pressed is gone
}

/**
 * Replaces what the safe has drawn by how things are now, but for one part of
 * the page, which stays as it is and where it is. What scripts have added to
 * other parts is gone.
 */
export async function redraw(keep: HTMLElement): Promise<void> {
  const fresh = await askPage(location.pathname + location.search);
  const main = byId("main");
  const drawn = fresh.getElementById("main");
  if (drawn === null) {
    throw new Error("the safe shows another page");
  }
  const drawnAt = [...drawn.children].findIndex((part) => part.id === keep.id);
  const at = drawnAt >= 0 ? drawnAt : [...main.children].indexOf(keep);
  const parts = [...drawn.children].filter((part) => part.id !== keep.id);
  parts.splice(at, 0, keep);
  document.title = fresh.title;
  main.replaceChildren(...parts);
}

/**
 * Asks the safe for one of its pages. The browser reads it: text does not become
 * elements here, which these pages forbid their scripts.
 */
export function askPage(address: string): Promise<Document> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.open("GET", address);
    request.onload = () => {
      const there = new URL(request.responseURL).pathname === new URL(address, location.origin).pathname;
      if (request.status === 200 && there && request.responseXML !== null) {
        resolve(request.responseXML);
      } else {
        reject(new Error(`the safe answered with status ${request.status}`));
      }
    };
    request.onerror = () => reject(new Error("the safe cannot be reached"));
    request.send();
  });
}
