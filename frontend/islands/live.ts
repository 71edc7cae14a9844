/**
 * Keeps a page's ages and figures fresh while somebody looks at it.
 *
 * `<time data-age datetime="…">` counts on by itself. A region marked `data-live="60"` is asked
 * for again every 60 seconds (the page's own address, If-None-Match) and its content is exchanged
 * when the server has something new; when that one is no longer marked, it is asked for no more.
 * Without this script the page is the same page.
 */

const MINUTE = 60_000;

/** The server's moment at the last rendering, and ours then: a wrong clock here must not age a figure. */
const rendered = { there: momentOf(document), here: Date.now() };

function momentOf(page: Document): number {
  return Date.parse(page.documentElement.dataset["now"] ?? "");
}

function now(): number {
  return rendered.there + (Date.now() - rendered.here);
}

function sayAges(within: ParentNode): void {
  const speech = new Intl.RelativeTimeFormat(document.documentElement.lang || "vi", { numeric: "always" });
  for (const stamp of within.querySelectorAll<HTMLTimeElement>("time[data-age][datetime]")) {
    const minutes = Math.floor((now() - Date.parse(stamp.dateTime)) / MINUTE);
    // Less than a minute, or a moment that cannot be read: the server's words stand.
    // After a month the server writes the date, and that stands too.
    if (!Number.isFinite(minutes) || minutes < 1 || minutes >= 30 * 1440) continue;
    const [amount, unit] =
      minutes < 60
        ? ([minutes, "minute"] as const)
        : minutes < 1440
          ? ([Math.floor(minutes / 60), "hour"] as const)
          : ([Math.floor(minutes / 1440), "day"] as const);
    const words = speech.format(-amount, unit);
    if (stamp.textContent !== words) stamp.textContent = words;
  }
}

class LiveRegion {
  #etag: string | null = null;
  #failures = 0;
  #over = false;

  constructor(
    readonly element: HTMLElement,
    readonly seconds: number,
  ) {}

  schedule(): void {
    if (this.#over) return;
    // Twice as long after each failure, up to sixteen times, so that a tired server can rest.
    const wait = this.seconds * 2 ** Math.min(this.#failures, 4);
    window.setTimeout(() => void this.#refresh(), wait * 1000);
  }

  async #refresh(): Promise<void> {
    if (document.visibilityState === "visible") {
      try {
        const headers: Record<string, string> = { accept: "text/html" };
        if (this.#etag !== null) headers["if-none-match"] = this.#etag;
        const answer = await fetch(location.pathname + location.search, { headers, cache: "no-store" });
        if (answer.status === 200) {
          this.#etag = answer.headers.get("etag");
          this.#exchange(await answer.text());
        }
        this.#failures = answer.ok || answer.status === 304 ? 0 : this.#failures + 1;
      } catch {
        this.#failures += 1;
      }
    }
    this.schedule();
  }

  #exchange(html: string): void {
    const page = new DOMParser().parseFromString(html, "text/html");
    const fresh = page.getElementById(this.element.id);
    if (fresh === null) return;
    Object.assign(rendered, { there: momentOf(page), here: Date.now() });
    if (this.element.contains(document.activeElement)) return; // never pull a link from under a finger
    const opened = new Set([...this.element.querySelectorAll("details[open]")].map((one) => one.id));
    for (const part of fresh.querySelectorAll("details")) part.open = part.open || opened.has(part.id);
    const before = figures(this.element);
    this.element.replaceChildren(...fresh.childNodes);
    this.#over = fresh.dataset["live"] === undefined; // what was waited for is there
    for (const [key, figure] of figures(this.element)) {
      const was = before.get(key);
      if (was !== undefined && was.textContent !== figure.textContent) figure.classList.add("just-changed");
    }
    sayAges(this.element);
  }
}

function figures(within: ParentNode): Map<string, HTMLElement> {
  const marked = within.querySelectorAll<HTMLElement>("[data-figure]");
  return new Map([...marked].map((one) => [one.dataset["figure"] ?? "", one]));
}

for (const element of document.querySelectorAll<HTMLElement>("[data-live][id]")) {
  const seconds = Number(element.dataset["live"]);
  if (seconds >= 2) new LiveRegion(element, seconds).schedule();
}
sayAges(document);
window.setInterval(() => sayAges(document), MINUTE / 2);
