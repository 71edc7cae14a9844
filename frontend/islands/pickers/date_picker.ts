/** A calendar beside a plain date input: a button opens it, arrows walk by day and week, Escape closes. */
import { type Day, isoDay, monthLater, readDay, same, shifted, weeks, writeDay } from "./dates";

const STEPS: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };

export function enliven(field: HTMLElement): void {
  const input = field.querySelector<HTMLInputElement>("input");
  if (input === null) return;
  new Calendar(field, input);
}

class Calendar {
  readonly #field: HTMLElement;
  readonly #input: HTMLInputElement;
  readonly #opener: HTMLButtonElement;
  readonly #panel = document.createElement("div");
  readonly #language = document.documentElement.lang || "vi";
  #at: Day;

  constructor(field: HTMLElement, input: HTMLInputElement) {
    this.#field = field;
    this.#input = input;
    this.#at = today();
    this.#opener = button(field.dataset["open"] ?? "", () => this.#toggle());
    this.#opener.setAttribute("aria-expanded", "false");
    input.after(this.#opener);
    this.#panel.className = "calendar";
    this.#panel.hidden = true;
    this.#panel.addEventListener("keydown", (event) => this.#key(event));
    field.append(this.#panel);
  }

  #toggle(): void {
    if (!this.#panel.hidden) {
      this.#close();
      return;
    }
    this.#at = readDay(this.#input.value) ?? this.#nearest(today());
    this.#panel.hidden = false;
    this.#opener.setAttribute("aria-expanded", "true");
    this.#draw(true);
  }

  #close(): void {
    this.#panel.hidden = true;
    this.#opener.setAttribute("aria-expanded", "false");
    this.#opener.focus();
  }

  #key(event: KeyboardEvent): void {
    const step = STEPS[event.key];
    if (event.key === "Escape") this.#close();
    else if (event.key === "PageUp" || event.key === "PageDown")
      this.#go(monthLater(this.#at, event.key === "PageUp" ? -1 : 1));
    else if (step !== undefined) this.#go(shifted(this.#at, step));
    else return;
    event.preventDefault();
  }

  #go(to: Day): void {
    this.#at = this.#nearest(to);
    this.#draw(true);
  }

  #allowed(day: Day): boolean {
    return same(this.#nearest(day), day);
  }

  #nearest(day: Day): Day {
    const least = readDay(this.#field.dataset["least"] ?? "");
    const most = readDay(this.#field.dataset["most"] ?? "");
    if (least !== null && isoDay(day) < isoDay(least)) return least;
    return most !== null && isoDay(day) > isoDay(most) ? most : day;
  }

  #draw(takeFocus: boolean): void {
    const month = new Date(Date.UTC(this.#at.year, this.#at.month - 1, 1));
    const head = document.createElement("div");
    head.className = "calendar-head";
    const title = document.createElement("b");
    title.setAttribute("aria-live", "polite");
    title.textContent = upper(this.#say({ month: "long", year: "numeric" }, month));
    head.append(
      this.#turn("‹", this.#field.dataset["former"] ?? "", -1),
      title,
      this.#turn("›", this.#field.dataset["next"] ?? "", 1),
    );

    const table = document.createElement("table");
    const row = table.createTHead().insertRow();
    for (let place = 0; place < 7; place += 1) {
      const monday = new Date(Date.UTC(2024, 0, 1 + place)); // 1 January 2024 was a Monday
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = this.#say({ weekday: "narrow" }, monday);
      cell.setAttribute("aria-label", this.#say({ weekday: "long" }, monday));
      row.append(cell);
    }
    const chosen = readDay(this.#input.value);
    const body = table.createTBody();
    for (const week of weeks(this.#at)) {
      const line = body.insertRow();
      for (const day of week) {
        const cell = line.insertCell();
        if (day !== null) cell.append(this.#dayButton(day, chosen));
      }
    }
    this.#panel.replaceChildren(head, table);
    if (takeFocus) table.querySelector<HTMLButtonElement>('button[tabindex="0"]')?.focus();
  }

  #say(options: Intl.DateTimeFormatOptions, date: Date): string {
    return new Intl.DateTimeFormat(this.#language, { ...options, timeZone: "UTC" }).format(date);
  }

  #turn(sign: string, words: string, months: number): HTMLButtonElement {
    const turn = button(sign, () => {
      this.#at = this.#nearest(monthLater(this.#at, months));
      this.#draw(false);
      this.#panel.querySelectorAll<HTMLButtonElement>(".calendar-head button")[months < 0 ? 0 : 1]?.focus();
    });
    turn.setAttribute("aria-label", words);
    return turn;
  }

  #dayButton(day: Day, chosen: Day | null): HTMLButtonElement {
    const one = document.createElement("button");
    one.type = "button";
    one.textContent = String(day.day);
    one.tabIndex = same(day, this.#at) ? 0 : -1;
    one.disabled = !this.#allowed(day);
    const date = new Date(Date.UTC(day.year, day.month - 1, day.day));
    one.setAttribute("aria-label", this.#say({ day: "numeric", month: "long", year: "numeric" }, date));
    one.setAttribute("aria-pressed", String(chosen !== null && same(day, chosen)));
    if (same(day, today())) one.setAttribute("aria-current", "date");
    one.addEventListener("click", () => {
      this.#input.value = writeDay(day);
      this.#input.dispatchEvent(new Event("change", { bubbles: true }));
      this.#close();
    });
    return one;
  }
}

function button(words: string, act: () => void): HTMLButtonElement {
  const one = document.createElement("button");
  one.type = "button";
  one.className = "button";
  one.textContent = words;
  one.addEventListener("click", act);
  return one;
}

/** The day it is in Vietnam. */
function today(): Day {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Ho_Chi_Minh" }).format(new Date());
  return readDay(parts) ?? { year: 2026, month: 1, day: 1 };
}

function upper(words: string): string {
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}
