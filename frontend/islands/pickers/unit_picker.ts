/** A list of units under a plain input while one types: the combobox of WAI-ARIA, fed by the server. */

interface Found {
  readonly kind: string;
  readonly id: string;
  readonly label: string;
  readonly detail: string;
}

const WAIT_MS = 180;
const FORMER = "former-unit";

export function enliven(field: HTMLElement): void {
  const input = field.querySelector<HTMLInputElement>('input[type="text"]');
  const chosen = field.querySelector<HTMLInputElement>('input[type="hidden"]');
  if (input !== null && chosen !== null) new UnitPicker(field, input, chosen);
}

class UnitPicker {
  readonly #field: HTMLElement;
  readonly #input: HTMLInputElement;
  readonly #chosen: HTMLInputElement;
  readonly #list = document.createElement("ul");
  readonly #said = document.createElement("p");
  #found: readonly Found[] = [];
  #at = -1;
  #waiting = 0;
  #asking: AbortController | null = null;

  constructor(field: HTMLElement, input: HTMLInputElement, chosen: HTMLInputElement) {
    this.#field = field;
    this.#input = input;
    this.#chosen = chosen;
    this.#list.id = `${input.id}-found`;
    this.#list.className = "found";
    this.#list.setAttribute("role", "listbox");
    this.#list.setAttribute("aria-label", field.querySelector("label")?.textContent?.trim() ?? "");
    this.#list.hidden = true;
    this.#said.className = "unseen";
    this.#said.setAttribute("role", "status");
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    input.setAttribute("aria-controls", this.#list.id);
    input.after(this.#list, this.#said);
    input.addEventListener("input", () => this.#typed());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => window.setTimeout(() => this.#close(), 150));
  }

  #typed(): void {
    this.#chosen.value = ""; // what was chosen is no longer what is written
    window.clearTimeout(this.#waiting);
    const words = this.#input.value.trim();
    if (words.length < 2) this.#close();
    else this.#waiting = window.setTimeout(() => void this.#ask(words), WAIT_MS);
  }

  async #ask(words: string): Promise<void> {
    this.#asking?.abort();
    this.#asking = new AbortController();
    try {
      const answer = await fetch(`${this.#field.dataset["source"] ?? ""}?q=${encodeURIComponent(words)}`, {
        headers: { accept: "application/json", "accept-language": document.documentElement.lang },
        signal: this.#asking.signal,
      });
      if (!answer.ok) return; // the server resolves the words when the form is sent
      const said = (await answer.json()) as { hits?: unknown } | null;
      const all = said?.hits;
      this.#found = Array.isArray(all) ? all.filter(isUnit) : [];
    } catch {
      return; // no network, or a newer question
    }
    this.#draw();
  }

  #draw(): void {
    this.#at = -1;
    this.#list.replaceChildren(
      ...this.#found.map((one, place) => {
        const line = document.createElement("li");
        line.id = `${this.#list.id}-${place}`;
        line.setAttribute("role", "option");
        line.textContent = one.label;
        if (one.detail !== "") {
          const detail = document.createElement("span");
          detail.textContent = one.detail;
          line.append(detail);
        }
        line.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          this.#choose(place);
        });
        return line;
      }),
    );
    const some = this.#found.length > 0;
    this.#list.hidden = !some;
    this.#input.setAttribute("aria-expanded", String(some));
    this.#input.removeAttribute("aria-activedescendant");
    this.#said.textContent = some
      ? `${this.#found.length} ${this.#field.dataset["some"] ?? ""}`
      : (this.#field.dataset["none"] ?? "");
  }

  #key(event: KeyboardEvent): void {
    if (this.#list.hidden) return;
    if (event.key === "ArrowDown") this.#mark((this.#at + 1) % this.#found.length);
    else if (event.key === "ArrowUp") this.#mark((this.#at <= 0 ? this.#found.length : this.#at) - 1);
    else if (event.key === "Escape") this.#close();
    else if (event.key === "Enter" && this.#at >= 0) this.#choose(this.#at);
    else return;
    event.preventDefault();
  }

  #mark(place: number): void {
    this.#at = place;
    [...this.#list.children].forEach((line, one) => line.setAttribute("aria-selected", String(one === place)));
    this.#list.children[place]?.scrollIntoView({ block: "nearest" });
    this.#input.setAttribute("aria-activedescendant", `${this.#list.id}-${place}`);
  }

  #choose(place: number): void {
    const one = this.#found[place];
    if (one === undefined) return;
    // A unit that is no more is written out, and the server says what it became, or asks.
    const former = one.kind === FORMER;
    this.#input.value = former && one.detail !== "" ? `${one.label}, ${one.detail}` : one.label;
    this.#chosen.value = former ? "" : one.id;
    this.#close();
    this.#chosen.dispatchEvent(new Event("change", { bubbles: true }));
  }

  #close(): void {
    this.#list.hidden = true;
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
  }
}

function isUnit(one: unknown): one is Found {
  if (typeof one !== "object" || one === null) return false;
  const found = one as Partial<Record<keyof Found, unknown>>;
  return (found.kind === "unit" || found.kind === FORMER) && typeof found.id === "string" && typeof found.label === "string";
}
