/** The clock of the control room: counts on from the server's moment, not from this device's clock. */

const server = Date.parse(document.documentElement.dataset["now"] ?? "");
const here = Date.now();
const speech = new Intl.DateTimeFormat("vi-VN", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZone: "Asia/Ho_Chi_Minh",
});

function tick(): void {
  const now = new Date(server + (Date.now() - here));
  for (const face of document.querySelectorAll<HTMLTimeElement>("time[data-clock]")) {
    face.textContent = speech.format(now);
  }
  window.setTimeout(tick, 1000 - (now.getTime() % 1000));
}

if (Number.isFinite(server)) tick();
