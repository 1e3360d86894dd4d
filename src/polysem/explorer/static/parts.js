// Parts of pages. The server renders them, so text is escaped in one place; here they are put where they belong. Of
// several requests for one place the last answer wins.
const running = new WeakMap();

// Puts a part of the page at an address into a place, or, with `outerHTML`, in place of it; whether it did, and was not
// overtaken by a later request.
export async function show(place, address, part, how = "innerHTML") {
  running.get(place)?.abort();
  const controller = new AbortController();
  running.set(place, controller);
  place.ariaBusy = "true";
  try {
    const answer = await fetch(address, { headers: { "X-Polysem-Part": part }, signal: controller.signal });
    const html = await answer.text();
    if (running.get(place) !== controller) return false;
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place[how] = html;
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
  said.textContent = "The explorer does not answer. Is its command still running?";
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
