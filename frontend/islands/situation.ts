/**
 * The situation map lives: marks and the list beside it change in place, a thing opens beside the map.
 *
 * Without this script the page is the same page: the list leads to a page for each thing.
 */
import type { Item, Live } from "./map/live";
import { type Mark, openStream } from "./stream";
import { showState } from "./situation/connection";

const STALE_MS = 20_000;

class Situation {
  #live: Live | null = null;
  readonly #marks = new Map<string, Mark>();
  readonly #stale = new Set<string>();
  readonly #rows = new Map<string, HTMLElement>();
  readonly #staleWord: string;
  /** The server's clock minus this device's. */
  #ahead = Date.parse(document.documentElement.dataset["now"] ?? "") - Date.now();
  #panel: HTMLElement | null = null;
  #opener: HTMLElement | null = null;
  #asked = 0;

  constructor(readonly section: HTMLElement) {
    const words = JSON.parse(section.dataset["words"] || "{}") as Record<string, string>;
    this.#staleWord = words["stale"] ?? "";
    for (const row of section.querySelectorAll<HTMLElement>("li[data-map-key]")) this.#rows.set(row.dataset["mapKey"] ?? "", row);
    section.addEventListener("map-open", (event) => this.#opened((event as CustomEvent<Live>).detail), true);
    section.addEventListener("map-choice", (event) => this.#choose((event as CustomEvent<{ key: string | null; thing: boolean }>).detail), true);
    section.addEventListener("click", (event) => this.#click(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#panel !== null) this.#close();
    });
    const layers = (section.dataset["layers"] ?? "").split(",").filter(Boolean);
    openStream({
      layers,
      onSnapshot: ({ layers: all, now }) => {
        this.#ahead = Date.parse(now) - Date.now();
        const marks = Object.values(all).flatMap((one) => one.marks);
        const kept = new Set(marks.map((one) => one.id));
        // Of a tiled layer nothing is sent here: what is there stands in its tiles.
        const gone = [...this.#marks.values()].filter((one) => !kept.has(one.id) && all[one.layer]?.tiled !== true);
        this.#change(marks, gone.map((one) => one.id), false);
      },
      onMarks: ({ layers: changed, gone }) => this.#change(Object.values(changed).flat(), gone, true),
      onBeat: (now) => (this.#ahead = now.getTime() - Date.now()),
      onState: showState,
    });
    window.setInterval(() => this.#age(), STALE_MS);
  }

  #opened(live: Live): void {
    this.#live = live;
    live.put([...this.#marks.values()].map((one) => this.#itemOf(one)), [], false);
  }

  #change(marks: Mark[], gone: string[], ring: boolean): void {
    for (const id of gone) {
      this.#marks.delete(id);
      this.#rows.get(id)?.remove();
      this.#rows.delete(id);
    }
    for (const mark of marks) {
      this.#marks.set(mark.id, mark);
      this.#write(mark, ring);
    }
    const back = new Set(marks.map((one) => one.id));
    this.#live?.put(marks.map((one) => this.#itemOf(one)), gone.filter((id) => !back.has(id)), ring);
  }

  /** What has become old while nothing was heard of it. */
  #age(): void {
    const turned = [...this.#marks.values()].filter((one) => this.#isStale(one) && !this.#stale.has(one.id));
    for (const one of turned) this.#write(one, false);
    if (turned.length > 0) this.#live?.put(turned.map((one) => this.#itemOf(one)), [], false);
  }

  #isStale(mark: Mark): boolean {
    return mark.staleAfter !== null && Date.parse(mark.staleAfter) < Date.now() + this.#ahead;
  }

  #itemOf(mark: Mark): Item {
    const stale = this.#isStale(mark);
    if (stale) this.#stale.add(mark.id);
    else this.#stale.delete(mark.id);
    return {
      key: mark.id,
      label: mark.short || mark.name,
      longitude: mark.lon,
      latitude: mark.lat,
      mark: true,
      rank: stale ? 0 : mark.rank,
      colour: stale ? "" : mark.colour,
      stale,
    };
  }

  #write(mark: Mark, ring: boolean): void {
    const row = this.#rows.get(mark.id);
    if (row === undefined) return;
    const stale = this.#isStale(mark);
    row.classList.toggle("is-stale", stale);
    const words = row.querySelector(".situation-words");
    if (words !== null && words.textContent !== mark.label) {
      words.textContent = mark.label;
      if (ring) pulse(row);
    }
    const time = row.querySelector("time");
    if (time !== null && mark.observedAt !== null) time.dateTime = mark.observedAt;
    const said = row.querySelector(".stale-word");
    if (!stale) said?.remove();
    else if (said === null) {
      const word = document.createElement("b");
      word.className = "stale-word";
      word.textContent = this.#staleWord;
      row.append(word);
    }
  }

  #choose({ key, thing }: { key: string | null; thing: boolean }): void {
    if (key === null || !thing) return;
    const link = this.#rows.get(key)?.querySelector<HTMLAnchorElement>("a[data-entity]") ?? null;
    const canvas = this.section.querySelector<HTMLElement>("canvas");
    void this.#open(link?.href ?? `${location.pathname.replace(/\/$/, "")}/entity?id=${encodeURIComponent(key)}`, canvas);
  }

  #click(event: MouseEvent): void {
    if (!(event.target instanceof Element) || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target.closest<HTMLAnchorElement>("a[data-entity]");
    if (link === null) return;
    event.preventDefault();
    void this.#open(link.href, link);
  }

  /** Show a thing beside the map; where it cannot be fetched, go to its page. */
  async #open(address: string, opener: HTMLElement | null): Promise<void> {
    const asked = ++this.#asked;
    try {
      const answer = await fetch(address, { headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("entity-panel");
      if (fresh === null) throw new Error("no panel");
      if (asked !== this.#asked) return;
      this.#panel?.remove();
      this.#opener = opener;
      this.#panel = document.importNode(fresh, true);
      this.#panel.classList.add("beside");
      const heading = this.#panel.querySelector("h1");
      const title = document.createElement("h2");
      title.id = "entity-name";
      title.tabIndex = -1;
      title.textContent = heading?.textContent ?? "";
      heading?.replaceWith(title);
      const back = this.#panel.querySelector<HTMLElement>(".entity-back");
      const close = document.createElement("button");
      close.type = "button";
      close.className = "button entity-close";
      close.textContent = this.section.dataset["close"] ?? "×";
      close.addEventListener("click", () => this.#close());
      back?.replaceWith(close);
      this.section.before(this.#panel);
      title.focus();
    } catch {
      location.assign(address);
    }
  }

  #close(): void {
    this.#panel?.remove();
    this.#panel = null;
    this.#opener?.focus();
    this.#opener = null;
  }
}

function pulse(row: HTMLElement): void {
  row.classList.remove("just-changed");
  void row.offsetWidth; // so that it begins again
  row.classList.add("just-changed");
}

for (const section of document.querySelectorAll<HTMLElement>("[data-situation]")) new Situation(section);
