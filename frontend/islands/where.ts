/**
 * A button beside the look-up that fills in where the device is, when somebody taps it.
 *
 * `<p data-where="Use my position" data-refused="…">` becomes the button; the form's own fields
 * `latitude` and `longitude` are filled, and the form is sent. Nothing is asked before the tap.
 */

function offer(place: HTMLElement, form: HTMLFormElement): void {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = place.dataset["where"] ?? "";
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  button.addEventListener("click", () => {
    button.disabled = true;
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        fill(form, "latitude", coords.latitude);
        fill(form, "longitude", coords.longitude);
        form.submit();
      },
      () => {
        button.disabled = false;
        told.textContent = place.dataset["refused"] ?? "";
      },
      { enableHighAccuracy: true, timeout: 15_000, maximumAge: 60_000 },
    );
  });
  place.replaceChildren(button, " ", told);
  place.hidden = false;
}

function fill(form: HTMLFormElement, name: string, degrees: number): void {
  const field = form.elements.namedItem(name);
  if (field instanceof HTMLInputElement) field.value = degrees.toFixed(6);
}

for (const place of document.querySelectorAll<HTMLElement>("[data-where]")) {
  const form = place.closest("form");
  if (form !== null && "geolocation" in navigator) offer(place, form);
}
