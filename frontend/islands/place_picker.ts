/**
 * Enlivens the place picker: the device's position, and a tap on the map, fill the hidden fields of
 * the form and, while nobody has typed one, the ward. Without this script the ward and a landmark do.
 */
import type { Live } from "./map/live";

const VIETNAM = { west: 102, south: 6, east: 118, north: 24 };
const PATIENCE_MS = 15_000;

interface UnitHere {
  id?: string;
  full_name?: string;
}

class PlacePicker {
  readonly #words: Record<string, string>;
  readonly #said: HTMLElement | null;
  readonly #forget: HTMLButtonElement | null;
  #live: Live | null = null;
  #asked = 0;
  #filled = "";

  constructor(readonly fieldset: HTMLElement) {
    this.#words = JSON.parse(fieldset.dataset["words"] || "{}") as Record<string, string>;
    this.#said = fieldset.querySelector(".place-said");
    this.#forget = fieldset.querySelector("[data-forget]");
    const here = fieldset.querySelector<HTMLElement>(".place-here");
    if (here !== null && "geolocation" in navigator && isSecureContext) {
      here.hidden = false;
      here.querySelector("button")?.addEventListener("click", () => this.#askDevice());
    }
    fieldset.addEventListener("map-open", (event) => {
      this.#live = (event as CustomEvent<Live>).detail;
      this.#showOnMap();
    }, true);
    fieldset.addEventListener("map-choice", (event) => {
      const { longitude, latitude } = (event as CustomEvent<{ longitude: number; latitude: number }>).detail;
      void this.#take(longitude, latitude, "", this.#words["tapped"] ?? "");
    }, true);
    this.#forget?.addEventListener("click", () => this.#takeAway());
    if (this.#forget !== null) this.#forget.hidden = this.#field("longitude").value === "";
  }

  #field(name: string): HTMLInputElement {
    const found = this.fieldset.querySelector<HTMLInputElement>(`[name="${name}"]`);
    if (found === null) throw new Error(`place picker: ${name} is missing`);
    return found;
  }

  #say(text: string): void {
    if (this.#said !== null) this.#said.textContent = text;
  }

  #askDevice(): void {
    this.#say(this.#words["asking"] ?? "");
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        const metres = Math.max(1, Math.round(coords.accuracy));
        void this.#take(coords.longitude, coords.latitude, String(metres), (this.#words["here"] ?? "").replace("{metres}", String(metres)));
      },
      ({ code, PERMISSION_DENIED }) => this.#say(this.#words[code === PERMISSION_DENIED ? "denied" : "unknown"] ?? ""),
      { enableHighAccuracy: true, timeout: PATIENCE_MS, maximumAge: 60_000 },
    );
  }

  async #take(longitude: number, latitude: number, metres: string, words: string): Promise<void> {
    if (longitude < VIETNAM.west || longitude > VIETNAM.east || latitude < VIETNAM.south || latitude > VIETNAM.north) {
      this.#say(this.#words["abroad"] ?? "");
      return;
    }
    this.#field("longitude").value = longitude.toFixed(6);
    this.#field("latitude").value = latitude.toFixed(6);
    this.#field("accuracy_m").value = metres;
    if (this.#forget !== null) this.#forget.hidden = false;
    this.#say(words);
    this.#showOnMap();
    const asked = ++this.#asked;
    const unit = await unitAt(longitude, latitude);
    if (unit?.full_name === undefined || asked !== this.#asked) return;
    this.#say(`${words} ${(this.#words["in"] ?? "").replace("{unit}", unit.full_name)}`);
    const typed = this.#field("unit");
    if (typed.value !== "" && typed.value !== this.#filled) return; // what somebody wrote stands
    typed.value = this.#filled = unit.full_name;
    this.#field("unit_id").value = unit.id ?? "";
  }

  #takeAway(): void {
    this.#asked += 1;
    for (const name of ["longitude", "latitude", "accuracy_m"]) this.#field(name).value = "";
    if (this.#forget !== null) this.#forget.hidden = true;
    this.#live?.place(null);
    this.#say(this.#words["forgotten"] ?? "");
    this.fieldset.querySelector<HTMLInputElement>("[name=unit]")?.focus();
  }

  #showOnMap(): void {
    const [longitude, latitude] = [this.#field("longitude").value, this.#field("latitude").value];
    if (longitude !== "" && latitude !== "") this.#live?.place([Number(longitude), Number(latitude)]);
  }
}

/** The ward of a position; nothing when the server does not know or cannot be reached. */
async function unitAt(longitude: number, latitude: number): Promise<UnitHere | null> {
  try {
    const answer = await fetch(`/api/places/unit-at?longitude=${longitude.toFixed(6)}&latitude=${latitude.toFixed(6)}`);
    if (!answer.ok) return null;
    const found = (await answer.json()) as { unit?: UnitHere | null };
    return found.unit ?? null;
  } catch {
    return null;
  }
}

for (const fieldset of document.querySelectorAll<HTMLElement>('[data-island="place-picker"]')) new PlacePicker(fieldset);
