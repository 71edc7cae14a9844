/** Says beside the clock whether the page is live, or since when it is not. */
import type { State } from "../stream";

export function showState(state: State): void {
  const time = state.since.toLocaleTimeString("vi-VN", { timeZone: "Asia/Ho_Chi_Minh", hour12: false });
  for (const line of document.querySelectorAll<HTMLElement>("[data-connection]")) {
    const lost = state.is === "lost";
    line.classList.toggle("state-critical", lost);
    line.classList.toggle("state-good", !lost);
    line.textContent = lost ? `${line.dataset["lostWord"] ?? ""} ${time}` : (line.dataset["liveWord"] ?? "");
  }
  document.documentElement.classList.toggle("is-lost", state.is === "lost");
}
