// dom.ts
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name.slice("on".length), value);
    } else if (value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children);
  return element;
}
function byId(id) {
  const element = document.getElementById(id);
  if (element === null) {
    throw new Error(`the page has no element ${id}`);
  }
  return element;
}
function showError(where, error) {
  const message = error instanceof Error ? error.message : String(error);
  const remedy = error instanceof Error && "remedy" in error && typeof error.remedy === "string" ? error.remedy : "";
  where.replaceChildren(h("strong", { class: "error" }, sentence(message)));
  if (remedy !== "") {
    where.append(" ", h("span", {}, remedy));
  }
}
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
function action(label, status, run, attributes = {}) {
  const button = h("button", { type: "button", ...attributes }, label);
  button.addEventListener("click", () => void press(button, status, run));
  return button;
}
async function press(button, status, run) {
  button.disabled = true;
  status.replaceChildren();
  try {
    await run();
  } catch (error) {
    showError(status, error);
  } finally {
    button.disabled = false;
  }
}
function field(label, input, help = "") {
  const id = input.id;
  const parts = [h("label", { for: id }, label), input];
  if (help !== "") {
    input.setAttribute("aria-describedby", `${id}-help`);
    parts.push(h("small", { id: `${id}-help` }, help));
  }
  return h("p", { class: "field" }, ...parts);
}

export {
  h,
  byId,
  showError,
  action,
  press,
  field
};
