/**
 * What happens in the province while somebody looks: one event stream a page, however many islands listen.
 *
 * The stream comes back by itself, once at a time, after a wait that the server draws for each client and
 * that doubles up to a minute. It goes on where it was, or says that everything has to be loaded again;
 * `onSnapshot` then gets every mark anew. A page that nobody has seen for five minutes lets go of it.
 */

/** One thing on the map. `staleAfter` is the moment after which what it says is out of date. */
export interface Mark {
  id: string;
  layer: string;
  name: string;
  lon: number;
  lat: number;
  rank: number;
  colour: string;
  short: string;
  label: string;
  observedAt: string | null;
  staleAfter: string | null;
  path: string;
  synthetic: boolean;
}

export interface Hello {
  now: string;
  position: number;
  layers: string[];
  /** Too much was missed: what the page shows has to be loaded anew. */
  again: boolean;
  /** How long to wait before the first try to come back, in milliseconds. */
  retry: number;
}

/** Every mark of a layer; a `tiled` one has too many and is drawn from tiles. */
export interface LayerMarks {
  label: string;
  marks: Mark[];
  tiled: boolean;
  count: number;
}

export interface Snapshot {
  now: string;
  position: number;
  layers: Record<string, LayerMarks>;
}

/** Take away what is gone first, then put the marks: a thing may have left one layer and stay in another. */
export interface MarksChange {
  layers: Record<string, Mark[]>;
  gone: string[];
}

/** `changed` names the alarms that are new or other than before, or is null: ask for the list again. */
export interface AlarmsChange {
  raised: number;
  changed: string[] | null;
  counts: Record<string, number>;
}

export interface SourceNews {
  sourceId: string;
  subject: string;
  since: string;
}

export interface SourcesChange {
  late: SourceNews[];
  back: SourceNews[];
}

/**
 * `live`: heard within the last half minute. `lost`: not since that moment, by the server's clock; the
 * `database` may be away while the server answers. `again`: live again, and what was shown is loaded anew.
 */
export type State =
  | { is: "live"; since: Date }
  | { is: "lost"; since: Date; why: "connection" | "database" }
  | { is: "again"; since: Date };

export interface Listener {
  /** Layers whose marks are wanted; none by default. */
  layers?: string[];
  onHello?(hello: Hello): void;
  /** Every mark of the layers: at first, and whenever the stream could not go on where it was. */
  onSnapshot?(snapshot: Snapshot): void;
  onMarks?(change: MarksChange): void;
  onAlarms?(change: AlarmsChange): void;
  onSources?(change: SourcesChange): void;
  onState?(state: State): void;
  /** The server's moment, every 15 seconds. */
  onBeat?(now: Date): void;
}

const SILENT_MS = 40_000; // two beats and a little
const LONGEST_WAIT_MS = 60_000;
const HIDDEN_MS = 5 * 60_000;
const FIRST_WAIT_MS = [2_000, 10_000] as const;
const COME_BACK_MS = 1_000;

class Stream {
  readonly #listeners = new Set<Listener>();
  #source: EventSource | null = null;
  #waiting: number | undefined;
  #silence: number | undefined;
  #hidden: number | undefined;
  #attempts = 0;
  #firstWait = between(...FIRST_WAIT_MS);
  #position: number | null = null;
  #hello: Hello | null = null;
  #state: State | null = null;
  /** The server's clock minus this device's: a wrong clock here must not say since when. */
  #ahead = 0;
  #heardAt = Date.now();
  #loading: AbortController | null = null;
  /** Whether what is shown holds everything up to the position. */
  #loaded = false;
  #held: MarksChange[] = [];

  constructor() {
    document.addEventListener("visibilitychange", () => this.#look());
    window.addEventListener("online", () => this.#comeBack(between(0, COME_BACK_MS)));
    window.addEventListener("pagehide", () => this.#letGo());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#comeBack(0);
    });
  }

  listen(listener: Listener): () => void {
    const before = this.#layers();
    this.#listeners.add(listener);
    const more = this.#layers().some((one) => !before.includes(one));
    if (this.#source === null || more) {
      // What is shown is loaded once the layers of every island of the page are known.
      this.#position = null;
      this.#loaded = false;
      this.#letGo();
      this.#comeBack(0);
    } else {
      if (this.#hello !== null) listener.onHello?.(this.#hello);
      if (this.#state !== null) listener.onState?.(this.#state);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#letGo();
    };
  }

  #layers(): string[] {
    return [...new Set([...this.#listeners].flatMap((one) => one.layers ?? []))].sort();
  }

  #address(what: string, after: number | null): string {
    const prefix = document.documentElement.lang === "en" ? "/en" : "";
    const query = new URLSearchParams({ layers: this.#layers().join(",") });
    if (after !== null) query.set("after", String(after));
    return `${prefix}/ioc/${what}?${query}`;
  }

  /** Try once, after a wait; whatever was waited for before is forgotten. */
  #comeBack(waitMs: number): void {
    if (this.#source !== null || this.#listeners.size === 0) return;
    window.clearTimeout(this.#waiting);
    this.#waiting = window.setTimeout(() => this.#open(), waitMs);
  }

  #letGo(): void {
    window.clearTimeout(this.#waiting);
    window.clearTimeout(this.#silence);
    this.#loading?.abort();
    this.#loading = null;
    this.#source?.close();
    this.#source = null;
  }

  #open(): void {
    const source = new EventSource(this.#address("live", this.#position));
    this.#source = source;
    this.#mindSilence();
    const on = <T>(kind: string, heard: (news: T) => void): void => {
      source.addEventListener(kind, (event: MessageEvent<string>) => {
        if (source !== this.#source) return;
        this.#hear(event.lastEventId);
        heard(JSON.parse(event.data) as T);
      });
    };
    on<Hello>("hello", (hello) => this.#greet(hello));
    on<MarksChange>("marks", (change) => {
      if (this.#loading !== null) this.#held.push(change);
      else for (const one of this.#listeners) one.onMarks?.(change);
    });
    on<AlarmsChange>("alarms", (change) => {
      for (const one of this.#listeners) one.onAlarms?.(change);
    });
    on<SourcesChange>("sources", (change) => {
      for (const one of this.#listeners) one.onSources?.(change);
    });
    on<{ now: string }>("beat", ({ now }) => this.#tell(now));
    on<{ database: "away" | "back"; now: string }>("state", ({ database, now }) => {
      this.#tell(now);
      if (database === "away") this.#turn({ is: "lost", since: this.#there(Date.now()), why: "database" });
      else this.#turn({ is: "live", since: this.#there(Date.now()) });
    });
    source.addEventListener("error", () => {
      if (source === this.#source) this.#lose();
    });
  }

  /** The browser would come back by itself, at once and for ever: we close and wait ourselves. */
  #lose(): void {
    this.#letGo();
    if (this.#state?.is !== "lost") this.#turn({ is: "lost", since: this.#there(this.#heardAt), why: "connection" });
    const most = Math.min(LONGEST_WAIT_MS, this.#firstWait * 2 ** this.#attempts);
    // The first wait was drawn by the server; later ones are drawn here, over half of their length.
    const wait = this.#attempts === 0 ? this.#firstWait : between(most / 2, most);
    this.#attempts += 1;
    if (document.visibilityState === "visible" || this.#hidden !== undefined) this.#comeBack(wait);
  }

  #hear(id: string): void {
    this.#heardAt = Date.now();
    if (/^\d+$/.test(id)) this.#position = Number(id);
    this.#mindSilence();
  }

  #mindSilence(): void {
    window.clearTimeout(this.#silence);
    this.#silence = window.setTimeout(() => this.#lose(), SILENT_MS);
  }

  #greet(hello: Hello): void {
    if (hello.again) this.#loaded = false;
    this.#ahead = Date.parse(hello.now) - Date.now();
    this.#attempts = 0;
    this.#firstWait = hello.retry;
    this.#hello = hello;
    for (const one of this.#listeners) one.onHello?.(hello);
    this.#turn({ is: hello.again ? "again" : "live", since: this.#there(Date.now()) });
    this.#tell(hello.now);
    if (!this.#loaded && [...this.#listeners].some((one) => one.onSnapshot !== undefined)) void this.#load(hello);
  }

  /** Load every mark as it was at `hello` or later; what comes meanwhile is told afterwards. */
  async #load(hello: Hello): Promise<void> {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    this.#held = [];
    try {
      const answer = await fetch(this.#address("marks.json", hello.position), {
        headers: { accept: "application/json" },
        signal: loading.signal,
      });
      if (!answer.ok) throw new Error(`marks ${answer.status}`);
      const snapshot = (await answer.json()) as Snapshot;
      if (this.#loading !== loading) return;
      this.#loading = null;
      this.#loaded = true;
      for (const one of this.#listeners) one.onSnapshot?.(snapshot);
      for (const change of this.#held.splice(0)) for (const one of this.#listeners) one.onMarks?.(change);
    } catch {
      if (this.#loading === loading) this.#lose();
    }
  }

  #tell(now: string): void {
    this.#ahead = Date.parse(now) - Date.now();
    for (const one of this.#listeners) one.onBeat?.(new Date(now));
  }

  #there(here: number): Date {
    return new Date(here + this.#ahead);
  }

  #turn(state: State): void {
    if (this.#state?.is === state.is && state.is !== "again") return;
    this.#state = state;
    for (const one of this.#listeners) one.onState?.(state);
  }

  /** Hidden for five minutes: let go. Seen again: catch up. */
  #look(): void {
    window.clearTimeout(this.#hidden);
    this.#hidden = undefined;
    if (document.visibilityState === "visible") this.#comeBack(between(0, COME_BACK_MS));
    else
      this.#hidden = window.setTimeout(() => {
        this.#hidden = undefined;
        this.#letGo();
      }, HIDDEN_MS);
  }
}

function between(least: number, most: number): number {
  return least + Math.random() * (most - least);
}

let stream: Stream | null = null;

/** Listen to what happens; returns what ends it. */
export function openStream(listener: Listener): () => void {
  stream ??= new Stream();
  return stream.listen(listener);
}
