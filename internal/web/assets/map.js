import {
  offerRulings
} from "./shared-JV6QFNSZ.js";
import "./shared-GUHBJKB6.js";
import {
  askPage
} from "./shared-JMBBHRIC.js";
import {
  Safe,
  byId,
  h,
  showError
} from "./shared-CXLUVPZO.js";
import "./shared-JFX4GKKW.js";

// map.ts
var svgNamespace = "http://www.w3.org/2000/svg";
function readComponents() {
  const all = [];
  for (const row of document.querySelectorAll("#components tbody tr")) {
    const link = row.querySelector("a");
    const id = link.textContent;
    const data = row.dataset;
    all.push({
      row,
      link,
      node: byId(`map-${all.length}`),
      text: `${row.querySelector("th").textContent} ${data["find"]}`.toLowerCase(),
      kind: id.slice(0, id.indexOf("/")),
      applications: words(data["for"]),
      bases: words(data["by"]),
      needs: words(data["needs"]).map(Number),
      neededBy: []
    });
  }
  all.forEach((component, i) => component.needs.forEach((j) => all[j].neededBy.push(i)));
  return all;
}
function words(text) {
  return text ? text.split(" ") : [];
}
function passes(c, wanted) {
  return (wanted.text === "" || c.text.includes(wanted.text)) && (wanted.application === "" || c.applications.includes(wanted.application)) && (wanted.kind === "" || c.kind === wanted.kind) && (wanted.basis === "" || c.bases.includes(wanted.basis));
}
var Finder = class {
  constructor(components2) {
    this.components = components2;
    for (const field of [this.text, this.application, this.kind, this.basis]) {
      field.addEventListener("input", () => this.soon());
    }
    this.soon();
  }
  components;
  text = byId("find-text");
  application = byId("find-application");
  kind = byId("find-kind");
  basis = byId("find-evidence");
  found = byId("found");
  table = byId("components");
  open = this.table.open;
  due = 0;
  // Once for each time that the browser draws, however fast somebody types.
  soon() {
    cancelAnimationFrame(this.due);
    this.due = requestAnimationFrame(() => this.show());
  }
  show() {
    const place = this.application.selectedIndex - 1;
    const wanted = {
      text: this.text.value.trim().toLowerCase(),
      application: place < 0 ? "" : String(place),
      kind: this.kind.value,
      basis: this.basis.value
    };
    let found = 0;
    for (const c of this.components) {
      const shown = passes(c, wanted);
      found += shown ? 1 : 0;
      if (c.row.hidden === shown) {
        c.row.hidden = !shown;
        c.node.classList.toggle("out", !shown);
      }
    }
    const all = this.components.length;
    this.found.textContent = `${count(found)} of ${count(all)} ${all === 1 ? "component" : "components"}`;
    this.table.open = this.open || found < all && found <= mostListed;
  }
};
var mostListed = 200;
function count(n) {
  return n.toLocaleString("en");
}
var Chooser = class {
  constructor(components2) {
    this.components = components2;
    const byLink = /* @__PURE__ */ new Map();
    for (const c of components2) {
      byLink.set(c.node, c);
      byLink.set(c.link, c);
    }
    byId("main").addEventListener("click", (event) => {
      const link = event.target.closest("a");
      const component = link === null ? void 0 : byLink.get(link);
      if (component === void 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) {
        return;
      }
      event.preventDefault();
      void this.choose(component);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.chosen !== void 0) {
        this.close();
      }
    });
  }
  components;
  panel = byId("chosen");
  chosen;
  arrows;
  asked = 0;
  safe = new Safe();
  async choose(c) {
    this.unmark();
    this.chosen = c;
    c.node.classList.add("chosen");
    this.arrows = drawArrows(c, this.components);
    const turn = ++this.asked;
    const status = h("p", { role: "status" }, "Asking the safe…");
    const close = h("button", { type: "button", class: "plain", onclick: () => this.close() }, "Close");
    const head = h("header", {}, h("h2", {}, h("a", { href: c.link.href }, c.link.textContent)), close);
    this.panel.replaceChildren(head, status);
    this.panel.hidden = false;
    this.panel.focus();
    try {
      await this.show(c, turn, status);
    } catch (error) {
      showError(status, error);
    }
  }
  // Shows the component in the place of what stands there, and offers officers
  // what they can say of it.
  async show(c, turn, place) {
    const part = (await askPage(c.link.pathname + c.link.search)).getElementById("component");
    if (turn !== this.asked) {
      return;
    }
    if (part === null) {
      throw new Error("the safe shows another page");
    }
    part.querySelector("#around")?.remove();
    place.replaceWith(part);
    if (part.querySelector("#say-panel") === null) {
      return;
    }
    const status = this.panel.querySelector("#say-status") ?? h("p", { id: "say-status", role: "status" });
    part.after(status);
    await offerRulings(this.safe, {
      part,
      status,
      more: "The picture shows how it was: load this page anew to see it there.",
      redraw: () => this.show(c, turn, part)
    });
  }
  unmark() {
    this.chosen?.node.classList.remove("chosen");
    this.arrows?.remove();
  }
  close() {
    this.unmark();
    this.asked++;
    this.panel.hidden = true;
    this.panel.replaceChildren();
    this.chosen?.link.focus({ preventScroll: true });
    this.chosen = void 0;
  }
};
function drawArrows(c, components2) {
  const group = document.createElementNS(svgNamespace, "g");
  const here = c.node.getBBox();
  const line = (name, others) => {
    const path = document.createElementNS(svgNamespace, "path");
    path.setAttribute("class", name);
    const ways = others.map((i) => {
      const there = components2[i].node.getBBox();
      return `M${here.x + here.width / 2} ${here.y + here.height / 2}L${there.x + there.width / 2} ${there.y + there.height / 2}`;
    });
    path.setAttribute("d", ways.join(""));
    group.append(path);
  };
  line("way-needs", c.needs);
  line("way-needed", c.neededBy);
  c.node.ownerSVGElement.append(group);
  return group;
}
var components = readComponents();
if (components.length > 0) {
  new Chooser(components);
  if (!("filtered" in byId("find").dataset)) {
    new Finder(components);
  }
}
