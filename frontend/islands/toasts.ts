/**
 * Shows short news at the edge of the page, and has it read out politely.
 *
 * Any script says `document.dispatchEvent(new CustomEvent("haidang:toast", { detail: "Đã lưu" }))`;
 * a button `data-toast="Đã lưu"` does the same. News stays for eight seconds, longer while it is
 * pointed at or has the focus, and can be closed. Nothing is told by a toast alone.
 */

const STAYS_MS = 8_000;

function show(place: HTMLElement, words: string): void {
  const toast = document.createElement("div");
  toast.className = "toast";
  const text = document.createElement("span");
  text.textContent = words;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "✕";
  close.setAttribute("aria-label", place.dataset["close"] ?? "");
  close.addEventListener("click", () => toast.remove());
  toast.append(text, close);
  place.append(toast);
  const leave = (): void => {
    window.setTimeout(() => (toast.matches(":hover, :focus-within") ? leave() : toast.remove()), STAYS_MS);
  };
  leave();
}

const place = document.querySelector<HTMLElement>('[data-island="toasts"]');
if (place !== null) {
  document.addEventListener("haidang:toast", (event) => {
    if (event instanceof CustomEvent && typeof event.detail === "string") show(place, event.detail);
  });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-toast]") : null;
    if (button !== null) show(place, button.dataset["toast"] ?? "");
  });
}
