/** The wall: its fields follow each other by themselves; the set-up knows this screen's pixels. */
import { openStream } from "./stream";
import { showState } from "./situation/connection";

const FIELD_MS = 20_000;

const width = document.querySelector<HTMLInputElement>("input[data-screen-width]");
if (width !== null && !location.search) width.value = String(window.innerWidth);

const fields = [...document.querySelectorAll<HTMLElement>("[data-wall-fields] > .wall-field")];
if (fields.length > 0) {
  let at = 0;
  const show = (): void => {
    fields.forEach((field, place) => field.classList.toggle("is-shown", place === at));
  };
  document.querySelector("[data-wall-fields]")?.classList.add("one-by-one");
  show();
  window.setInterval(() => {
    at = (at + 1) % fields.length;
    show();
  }, FIELD_MS);
  openStream({ onState: showState });
}
