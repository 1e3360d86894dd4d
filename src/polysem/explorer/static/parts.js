// Parts of pages. The server renders pages, so that text is escaped in one place; here a part of one is put in the place
// of what is shown. Of several requests for one place the last answer wins.
const running = new WeakMap();

// Shows in a place what the page at an address has in the element of the same id, or in its body if the place has none;
// whether it did, and was not overtaken by a later request.
export async function show(place, address) {
  running.get(place)?.abort();
  const controller = new AbortController();
  running.set(place, controller);
  place.ariaBusy = "true";
  try {
    const answer = await fetch(address, { signal: controller.signal });
    const html = await answer.text();
    if (running.get(place) !== controller) return false;
    const page = new DOMParser().parseFromString(html, "text/html");
    const found = place.id ? page.getElementById(place.id) : page.body;
    if (!found || !answer.headers.get("Content-Type")?.startsWith("text/html")) throw new Error(html);
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.replaceChildren(...found.childNodes);
    if (focused) document.getElementById(focused)?.focus();
  } catch (error) {
    if (error.name === "AbortError") return false;
    failed(place);
  }
  place.ariaBusy = "false";
  return true;
}

function failed(place) {
  const said = document.createElement("p");
  said.className = "error";
  said.setAttribute("role", "alert");
  said.textContent = "The explorer does not answer as it should. Its command says more, if it is still running.";
  place.replaceChildren(said);
}

// Calls a function when nothing has called this for some milliseconds.
export function settled(milliseconds, call) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(call, milliseconds, ...given);
  };
}

export const isTyping = (element) => element.matches("input, textarea, select, [contenteditable]");
