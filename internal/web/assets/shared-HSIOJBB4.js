import {
  byId
} from "./shared-LCBG3BA3.js";

// redraw.ts
async function redraw(keep) {
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
function askPage(address) {
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

export {
  redraw,
  askPage
};
