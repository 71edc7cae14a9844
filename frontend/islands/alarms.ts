/**
 * Alarms that live: what is done happens in place, and the list follows the province.
 *
 * A region `[data-alarms]` names the address its fresh form is fetched from. A form `[data-act]` in it is
 * sent without leaving the page; what the server answers is read out (`[data-said]`). Whoever is typing
 * into a card keeps it: only its facts are exchanged. Without this script every form works by itself.
 */
import { openStream, type State } from "./stream";

const SETTLE_MS = 400; // many alarms in one moment are one exchange
const POLL_MS = 30_000; // while there is no stream

class Region {
  #asked: number | undefined;
  #fetching = false;
  #again = false;
  readonly element: HTMLElement;

  constructor(element: HTMLElement) {
    this.element = element;
    element.addEventListener("submit", (event) => void this.#act(event));
  }

  /** Fetch it anew, once, however often it is asked for in a moment. */
  refresh(): void {
    window.clearTimeout(this.#asked);
    this.#asked = window.setTimeout(() => void this.#fetch(), SETTLE_MS);
  }

  async #fetch(): Promise<void> {
    if (this.#fetching) {
      this.#again = true;
      return;
    }
    this.#fetching = true;
    try {
      const address = this.element.dataset["alarms"] ?? location.href;
      const answer = await fetch(address, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.ok) this.#exchange(parsed(await answer.text()), true);
    } catch {
      // The stream says when the connection is lost, and asks again when it is back.
    } finally {
      this.#fetching = false;
      if (this.#again) {
        this.#again = false;
        this.refresh();
      }
    }
  }

  async #act(event: SubmitEvent): Promise<void> {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.matches("[data-act]")) return;
    event.preventDefault();
    const card = form.closest<HTMLElement>("[data-alarm]");
    const button = form.querySelector("button");
    button?.setAttribute("aria-busy", "true");
    try {
      const body = new URLSearchParams([...new FormData(form)].map(([key, value]) => [key, String(value)]));
      const answer = await fetch(form.action, { method: "POST", body, headers: { accept: "text/html" } });
      const page = parsed(await answer.text());
      if (answer.status !== 409 && !answer.ok) {
        form.submit(); // a name is asked for, or something has to be corrected: on a page of its own
        return;
      }
      const told = page.querySelector("[data-said]")?.textContent?.trim() ?? "";
      say(told === "" ? (form.dataset["done"] ?? "") : told, answer.status === 409);
      form.closest("details")?.removeAttribute("open");
      form.reset();
      const id = card?.dataset["alarm"] ?? "";
      if (page.getElementById(this.element.id) !== null) this.#exchange(page, false);
      this.#focus(id);
      this.refresh();
    } catch {
      form.submit();
    } finally {
      button?.removeAttribute("aria-busy");
    }
  }

  /** Put the fresh region in place, but leave alone the card that somebody is at work on. */
  #exchange(page: Document, tell: boolean): void {
    const fresh = page.getElementById(this.element.id);
    if (fresh === null) return;
    const before = cards(this.element);
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.id : "";
    const raised: string[] = [];
    for (const [id, card] of cards(fresh)) {
      const old = before.get(id);
      if (old === undefined) {
        raised.push(card.querySelector("h2, h3, h1")?.textContent?.trim() ?? "");
        card.classList.add("just-changed");
      } else if (busy(old)) {
        const head = card.querySelector(".alarm-head");
        if (head !== null) old.querySelector(".alarm-head")?.replaceWith(head);
        card.replaceWith(old);
      } else if (old.dataset["version"] !== card.dataset["version"]) {
        card.classList.add("just-changed");
      }
    }
    const top = window.scrollY;
    this.element.replaceChildren(...fresh.childNodes);
    window.scrollTo({ top });
    if (focused !== "" && document.activeElement === document.body) document.getElementById(focused)?.focus();
    const words = this.element.dataset["raised"];
    const news = document.querySelector<HTMLElement>("main [data-news]");
    if (tell && words !== undefined && raised.length > 0 && news !== null) {
      news.textContent = `${words} ${raised.slice(0, 3).join("; ")}`;
    }
  }

  /** After an act the focus stays with the alarm; where it has left the list, with what is said. */
  #focus(id: string): void {
    const card = cards(this.element).get(id);
    const place = card?.querySelector<HTMLElement>("h2 a, h3 a, summary") ?? document.querySelector<HTMLElement>("main");
    place?.focus();
  }

  /** Say under the list since when nothing is heard. */
  lost(since: Date | null): void {
    const words = this.element.dataset["lost"];
    if (words === undefined) return;
    let line = document.querySelector<HTMLElement>(".alarm-lost");
    if (since === null) {
      line?.remove();
      return;
    }
    if (line === null) {
      line = document.createElement("p");
      line.className = "alarm-lost";
      line.setAttribute("role", "status");
      this.element.before(line);
    }
    line.textContent = `${words} ${since.toLocaleTimeString("vi-VN", { timeZone: "Asia/Ho_Chi_Minh", hour12: false })}`;
  }
}

function parsed(html: string): Document {
  return new DOMParser().parseFromString(html, "text/html");
}

function cards(within: ParentNode): Map<string, HTMLElement> {
  const found = within.querySelectorAll<HTMLElement>("[data-alarm]");
  return new Map([...found].map((one) => [one.dataset["alarm"] ?? "", one]));
}

function busy(card: HTMLElement): boolean {
  return [...card.querySelectorAll("details")].some((one) => one.open);
}

/** Tell what was done: seen on the page, and read out; what somebody else did first at once. */
function say(words: string, first: boolean): void {
  const place = document.querySelector<HTMLElement>("main [data-said]");
  const text = words.trim();
  if (place === null || text === "") {
    if (text !== "") document.dispatchEvent(new CustomEvent("haidang:toast", { detail: text }));
    return;
  }
  place.className = first ? "alarm-refused" : "alarm-note";
  place.setAttribute("role", first ? "alert" : "status");
  place.textContent = text;
}

const regions = [...document.querySelectorAll<HTMLElement>("[data-alarms][id]")].map((one) => new Region(one));
if (regions.length > 0) {
  let live = false;
  openStream({
    onAlarms: () => regions.forEach((one) => one.refresh()),
    onState: (state: State) => {
      live = state.is !== "lost";
      regions.forEach((one) => one.lost(state.is === "lost" ? state.since : null));
      if (state.is === "again") regions.forEach((one) => one.refresh());
    },
  });
  window.setInterval(() => {
    if (!live && document.visibilityState === "visible") regions.forEach((one) => one.refresh());
  }, POLL_MS);
}

/** A form that takes a while says so, and for how long it has been at it. */
for (const form of document.querySelectorAll<HTMLFormElement>("form[data-slow]")) {
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    const asks = (button?.getAttribute("formmethod") ?? form.getAttribute("method")) === "get";
    if (!(button instanceof HTMLButtonElement) || !asks) return;
    const line = document.createElement("p");
    line.className = "alarm-note";
    line.setAttribute("role", "status");
    button.parentElement?.after(line);
    const began = Date.now();
    const tell = (): void => {
      line.textContent = `${form.dataset["slow"] ?? ""} ${Math.round((Date.now() - began) / 1000)} s`;
    };
    tell();
    const ticking = window.setInterval(tell, 1000);
    window.addEventListener("pagehide", () => {
      window.clearInterval(ticking); // and when somebody comes back, the line is gone
      line.remove();
    }, { once: true });
  });
}
