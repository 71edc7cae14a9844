/**
 * Opens a `<dialog>` where a link would lead to a page that asks the same.
 *
 * `<a href="/page" data-opens="id">` stays a link where the browser has no `<dialog>` (Safari before
 * 15.4) or this script did not come. A button `data-closes` closes; Escape and focus are the browser's.
 * A summary of errors takes the focus when the page opens with one.
 */

const able = typeof HTMLDialogElement === "function" && "showModal" in HTMLDialogElement.prototype;

document.addEventListener("click", (event) => {
  if (!able || !(event.target instanceof Element) || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = event.target.closest<HTMLElement>("[data-opens]");
  const asked = link === null ? null : document.getElementById(link.dataset["opens"] ?? "");
  if (asked instanceof HTMLDialogElement) {
    event.preventDefault();
    asked.showModal();
    return;
  }
  const closing = event.target.closest<HTMLElement>("[data-closes]")?.closest("dialog");
  if (closing !== null && closing !== undefined) {
    event.preventDefault();
    closing.close();
  }
});

document.querySelector<HTMLElement>("[data-errors]")?.focus();
