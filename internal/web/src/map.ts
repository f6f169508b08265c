// The page "Map": finding components and looking at one, without asking for the
// whole page again. All that it shows, the page and those that it leads to show
// without it.
//
// What is known of the components stands in the rows of the table. The nodes of
// the picture are in the same order.

import { byId, h, showError } from "./dom.ts";
import { Safe } from "./api.ts";
import { askPage } from "./redraw.ts";
import { offerRulings } from "./rulings.ts";

/** A component: its row, its node, and by what it is found. */
interface Component {
  row: HTMLElement;
  link: HTMLAnchorElement;
  node: SVGGraphicsElement;
  text: string;
  kind: string;
  applications: string[];
  bases: string[];
  needs: number[];
  neededBy: number[];
}

/** What is asked for; "" asks for all. */
interface Wanted {
  text: string;
  application: string; // its place among those to choose from
  kind: string;
  basis: string;
}

const svgNamespace = "http://www.w3.org/2000/svg";

function readComponents(): Component[] {
  const all: Component[] = [];
  for (const row of document.querySelectorAll<HTMLElement>("#components tbody tr")) {
    const link = row.querySelector("a")!;
    const id = link.textContent!;
    const data = row.dataset;
    all.push({
      row,
      link,
      node: byId(`map-${all.length}`) as unknown as SVGGraphicsElement,
      text: `${row.querySelector("th")!.textContent} ${data["find"]}`.toLowerCase(),
      kind: id.slice(0, id.indexOf("/")),
      applications: words(data["for"]),
      bases: words(data["by"]),
      needs: words(data["needs"]).map(Number),
      neededBy: [],
    });
  }
  all.forEach((component, i) => component.needs.forEach((j) => all[j]!.neededBy.push(i)));
  return all;
}

function words(text: string | undefined): string[] {
  return text ? text.split(" ") : [];
}

function passes(c: Component, wanted: Wanted): boolean {
  return (
    (wanted.text === "" || c.text.includes(wanted.text)) &&
    (wanted.application === "" || c.applications.includes(wanted.application)) &&
    (wanted.kind === "" || c.kind === wanted.kind) &&
    (wanted.basis === "" || c.bases.includes(wanted.basis))
  );
}

/** Filters what is shown while somebody types or chooses. */
class Finder {
  private readonly text = byId("find-text") as HTMLInputElement;
  private readonly application = byId("find-application") as HTMLSelectElement;
  private readonly kind = byId("find-kind") as HTMLSelectElement;
  private readonly basis = byId("find-evidence") as HTMLSelectElement;
  private readonly found = byId("found");
  private readonly table = byId("components") as HTMLDetailsElement;
  private readonly open = this.table.open;
  private due = 0;

  constructor(private readonly components: Component[]) {
    for (const field of [this.text, this.application, this.kind, this.basis]) {
      field.addEventListener("input", () => this.soon());
    }
    this.soon(); // a browser may have kept what was typed before
  }

  // Once for each time that the browser draws, however fast somebody types.
  private soon(): void {
    cancelAnimationFrame(this.due);
    this.due = requestAnimationFrame(() => this.show());
  }

  private show(): void {
    const place = this.application.selectedIndex - 1; // the first stands for all
    const wanted = {
      text: this.text.value.trim().toLowerCase(),
      application: place < 0 ? "" : String(place),
      kind: this.kind.value,
      basis: this.basis.value,
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
    // What was found is to be read, if it is not too much for that.
    this.table.open = this.open || (found < all && found <= mostListed);
  }
}

const mostListed = 200;

function count(n: number): string {
  return n.toLocaleString("en");
}

/** Shows one component beside the map, and its arrows on it. */
class Chooser {
  private readonly panel = byId("chosen");
  private chosen: Component | undefined;
  private arrows: SVGElement | undefined;
  private asked = 0;
  private readonly safe = new Safe();

  constructor(private readonly components: Component[]) {
    const byLink = new Map<Element, Component>();
    for (const c of components) {
      byLink.set(c.node, c);
      byLink.set(c.link, c);
    }
    byId("main").addEventListener("click", (event) => {
      const link = (event.target as Element).closest("a");
      const component = link === null ? undefined : byLink.get(link);
      // With a key held, a click opens a window of its own.
      if (component === undefined || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) {
        return;
      }
      event.preventDefault();
      void this.choose(component);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.chosen !== undefined) {
        this.close();
      }
    });
  }

  private async choose(c: Component): Promise<void> {
    this.unmark();
    this.chosen = c;
    c.node.classList.add("chosen");
    this.arrows = drawArrows(c, this.components);
    const turn = ++this.asked;
    const status = h("p", { role: "status" }, "Asking the safe…");
    const close = h("button", { type: "button", class: "plain", onclick: () => this.close() }, "Close");
    const head = h("header", {}, h("h2", {}, h("a", { href: c.link.href }, c.link.textContent!)), close);
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
  private async show(c: Component, turn: number, place: HTMLElement): Promise<void> {
    const part = (await askPage(c.link.pathname + c.link.search)).getElementById("component");
    if (turn !== this.asked) {
      return; // another was chosen meanwhile
    }
    if (part === null) {
      throw new Error("the safe shows another page");
    }
    // The map itself shows what is around it.
    part.querySelector("#around")?.remove();
    place.replaceWith(part);
    if (part.querySelector("#say-panel") === null) {
      return; // for officers only
    }
    const status = this.panel.querySelector<HTMLElement>("#say-status") ?? h("p", { id: "say-status", role: "status" });
    part.after(status);
    await offerRulings(this.safe, {
      part,
      status,
      more: "The picture shows how it was: load this page anew to see it there.",
      redraw: () => this.show(c, turn, part),
    });
  }

  private unmark(): void {
    this.chosen?.node.classList.remove("chosen");
    this.arrows?.remove();
  }

  private close(): void {
    this.unmark();
    this.asked++;
    this.panel.hidden = true;
    this.panel.replaceChildren();
    this.chosen?.link.focus({ preventScroll: true });
    this.chosen = undefined;
  }
}

// Draws a line to each that a component needs, and from each that needs it.
function drawArrows(c: Component, components: Component[]): SVGElement {
  const group = document.createElementNS(svgNamespace, "g");
  const here = c.node.getBBox();
  const line = (name: string, others: number[]): void => {
    const path = document.createElementNS(svgNamespace, "path");
    path.setAttribute("class", name);
    const ways = others.map((i) => {
      const there = components[i]!.node.getBBox();
      return `M${here.x + here.width / 2} ${here.y + here.height / 2}L${there.x + there.width / 2} ${there.y + there.height / 2}`;
    });
    path.setAttribute("d", ways.join(""));
    group.append(path);
  };
  line("way-needs", c.needs);
  line("way-needed", c.neededBy);
  c.node.ownerSVGElement!.append(group);
  return group;
}

const components = readComponents();
if (components.length > 0) {
  new Chooser(components);
  // Of a part of the map, the safe has to be asked for another.
  if (!("filtered" in byId("find").dataset)) {
    new Finder(components);
  }
}
