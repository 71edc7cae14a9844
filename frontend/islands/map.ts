/**
 * Opens the live map over the picture that the server drew, and lets the list beside it and the map
 * point at each other. On a wide screen when the map comes into view; on a telephone, and for those
 * who save data, by a tap. Without WebGL, or when it is lost, picture and list stay as they are.
 */
import type { Item, Live } from "./map/live";

const WIDE = "(min-width: 60rem)";

function hasWebGl(): boolean {
  try {
    return document.createElement("canvas").getContext("webgl2") !== null;
  } catch {
    return false;
  }
}

function listed<T>(section: HTMLElement, name: string): T[] {
  return JSON.parse(section.dataset[name] || "[]") as T[];
}

class MapFrame {
  #live: Live | null = null;
  #opening = false;
  readonly #words: Record<string, string>;
  readonly #frame: HTMLElement;
  readonly #open: HTMLButtonElement;
  readonly #said: HTMLElement;
  readonly #card: HTMLElement;
  readonly #items: Map<string, HTMLElement>;

  constructor(readonly section: HTMLElement) {
    this.#words = JSON.parse(section.dataset["words"] || "{}") as Record<string, string>;
    this.#frame = part(section, ".map-frame");
    this.#open = part<HTMLButtonElement>(section, ".map-open");
    this.#said = part(section, ".map-said");
    this.#card = part(section, ".map-card");
    const items = [...section.querySelectorAll<HTMLElement>("[data-map-key]")];
    this.#items = new Map(items.map((one) => [one.dataset["mapKey"] ?? "", one]));
    this.#open.hidden = false;
    this.#open.addEventListener("click", () => void this.open());
    section.addEventListener("pointerover", (event) => this.#live?.point(this.#keyOf(event)));
    section.addEventListener("focusin", (event) => {
      const key = this.#keyOf(event);
      if (key !== null) this.#choose(key, true);
    });
    section.addEventListener("click", (event) => {
      const key = this.#keyOf(event);
      if (key !== null) this.#choose(key, true);
    });
    // The picture and the list point at each other too, before there is a live map.
    for (const kind of ["pointerover", "focusin"]) {
      section.addEventListener(kind, (event) => this.#light(this.#keyOf(event) ?? pictureKey(event)));
    }
    if (matchMedia(WIDE).matches && !savesData()) {
      const seen = new IntersectionObserver((entries) => {
        if (!entries.some((one) => one.isIntersecting)) return;
        seen.disconnect();
        void this.open();
      }, { rootMargin: "100px" });
      seen.observe(this.#frame);
    }
  }

  async open(): Promise<void> {
    if (this.#live !== null || this.#opening) return;
    this.#opening = true;
    this.#open.disabled = true;
    this.#say("opening");
    const container = document.createElement("div");
    container.className = "map-live";
    this.#frame.append(container);
    try {
      const { openMap } = await import("./map/live");
      this.#live = await openMap({
        container,
        bounds: listed<number>(this.section, "bounds") as [number, number, number, number],
        on: this.section.dataset["on"] ?? "",
        detailed: listed(this.section, "detailed"),
        names: listed(this.section, "names"),
        entities: listed(this.section, "entities"),
        items: [...this.#items.values()].map(itemOf),
        words: this.#words,
        chosen: (key, name, longitude, latitude, thing) => this.#chosenOnMap(key, name, longitude, latitude, thing),
        lost: () => this.#giveWay(container, "lost"),
      });
      container.append(this.#buttons());
      this.#credit(this.#live.attributions);
      this.section.classList.add("is-live");
      this.#open.hidden = true;
      this.#say("opened");
      this.section.dispatchEvent(new CustomEvent("map-open", { detail: this.#live }));
    } catch (trouble) {
      console.info("map:", trouble);
      this.#giveWay(container, "failed");
    } finally {
      this.#opening = false;
      this.#open.disabled = false;
    }
  }

  /** The picture and the list are there again, and say why. */
  #giveWay(container: HTMLElement, why: string): void {
    this.#live?.remove();
    this.#live = null;
    container.remove();
    this.section.classList.remove("is-live");
    this.#open.hidden = false;
    this.#card.hidden = true;
    this.#say(why);
    this.#said.classList.remove("unseen");
  }

  /** The lines that what the map draws asks for, when the page was made without them. */
  #credit(lines: string[]): void {
    const under = part(this.section, ".map-attribution");
    for (const line of lines) {
      if (!under.textContent?.includes(line)) under.append(` ${line}.`);
    }
  }

  #buttons(): HTMLElement {
    const bar = document.createElement("div");
    bar.className = "map-buttons";
    const acts: [string, string, () => void][] = [
      ["+", "nearer", () => this.#live?.zoom(1)],
      ["−", "farther", () => this.#live?.zoom(-1)],
      ["⌂", "whole", () => this.#live?.home()],
    ];
    for (const [sign, word, act] of acts) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.setAttribute("aria-label", this.#words[word] ?? word);
      button.title = this.#words[word] ?? word;
      button.addEventListener("click", (event) => {
        event.stopPropagation();
        act();
      });
      bar.append(button);
    }
    return bar;
  }

  #keyOf(event: Event): string | null {
    const item = (event.target as Element | null)?.closest<HTMLElement>("[data-map-key]");
    return item?.dataset["mapKey"] ?? null;
  }

  #choose(key: string, move: boolean): void {
    this.#light(key);
    this.#live?.choose(key, move);
  }

  #light(key: string | null): void {
    for (const lit of this.section.querySelectorAll(".lit")) lit.classList.remove("lit");
    if (key === null) return;
    for (const twin of this.section.querySelectorAll<HTMLElement | SVGElement>("[data-key], [data-map-key]")) {
      if ((twin.dataset["key"] ?? twin.dataset["mapKey"]) === key) twin.classList.add("lit");
    }
  }

  #chosenOnMap(key: string | null, name: string, longitude: number, latitude: number, thing: boolean): void {
    this.#light(key);
    const item = this.#items.get(key ?? "");
    for (const folded of ancestors(item)) folded.open = true;
    item?.scrollIntoView({ block: "nearest", behavior: "auto" });
    this.#card.hidden = !name;
    this.#card.replaceChildren(...(name ? [cardOf(name, item)] : []));
    this.#said.classList.add("unseen");
    this.#said.textContent = name ? `${this.#words["chosen"] ?? ""} ${name}` : (this.#words["nothing"] ?? "");
    this.section.dispatchEvent(new CustomEvent("map-choice", { detail: { key, name, longitude, latitude, thing } }));
  }

  #say(word: string): void {
    this.#said.textContent = this.#words[word] ?? "";
  }
}

function part<E extends HTMLElement = HTMLElement>(section: HTMLElement, selector: string): E {
  const found = section.querySelector<E>(selector);
  if (found === null) throw new Error(`map: ${selector} is missing`);
  return found;
}

function pictureKey(event: Event): string | null {
  return (event.target as Element | null)?.closest<SVGElement>("[data-key]")?.dataset["key"] ?? null;
}

function ancestors(item: HTMLElement | undefined): HTMLDetailsElement[] {
  const found: HTMLDetailsElement[] = [];
  for (let at = item?.closest("details"); at; at = at.parentElement?.closest("details")) found.push(at);
  return found;
}

/** The chosen thing's name, leading where its line in the list leads. */
function cardOf(name: string, item: HTMLElement | undefined): HTMLElement {
  const address = item?.querySelector<HTMLAnchorElement>("a[href]")?.getAttribute("href");
  const card = document.createElement(address ? "a" : "b");
  card.textContent = name;
  if (address) card.setAttribute("href", address);
  return card;
}

function numberOf(text: string | undefined): number | null {
  const number = Number.parseFloat(text ?? "");
  return Number.isFinite(number) ? number : null;
}

function itemOf(element: HTMLElement): Item {
  const { mapKey = "", label, longitude, latitude, rank, colour = "", stale } = element.dataset;
  return {
    key: mapKey,
    label: label ?? element.textContent?.trim() ?? "",
    longitude: numberOf(longitude),
    latitude: numberOf(latitude),
    mark: rank !== undefined,
    rank: numberOf(rank) ?? 0,
    colour,
    stale: stale === "yes",
  };
}

function savesData(): boolean {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;
}

if (hasWebGl()) {
  for (const section of document.querySelectorAll<HTMLElement>("[data-map]")) new MapFrame(section);
}
