/** Lets the shell stay on the device, once the page itself has arrived. Without it every page is the same page. */

function install(): void {
  navigator.serviceWorker.register("/sw.js").catch(() => undefined); // a browser that forbids it is obeyed
}

if ("serviceWorker" in navigator && window.isSecureContext) {
  if (document.readyState === "complete") install();
  else window.addEventListener("load", install, { once: true });
}
