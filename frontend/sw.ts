/**
 * The shell that stays on the telephone: styles, fonts, the offline page, and the home page as last seen.
 *
 * Pages come from the network, always. Only where there is none does a kept page answer, and then it says
 * since when it is old: a figure without its age is never shown. What to keep is written before this
 * script by the server (`/sw.js`), so that a new build is a new worker. See ADR 0055.
 */

export {};

interface Words {
  /** The line on a kept page; {moment} stands for when it was seen. */
  readonly kept: string;
}

interface Shell {
  readonly version: string;
  readonly files: readonly string[];
  /** By language: the address of home, of the offline page, and the words of that language. */
  readonly locales: Readonly<Record<string, { home: string; offline: string; words: Words }>>;
}

declare const SHELL: Shell;
declare const self: ServiceWorkerGlobalScope;

const FILES = `shell-${SHELL.version}`;
const PAGES = "pages";
/** When a page was fetched, by this device's clock: ages are counted on from there. */
const FETCHED = "x-haidang-fetched";

const homes = new Set(Object.values(SHELL.locales).map((one) => one.home));

self.addEventListener("install", (event) => {
  event.waitUntil(prepare());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(tidy());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = new URL(request.url);
  if (request.method !== "GET" || address.origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    event.respondWith(page(request, address));
  } else if (SHELL.files.includes(address.pathname)) {
    event.respondWith(file(request));
  }
});

async function prepare(): Promise<void> {
  const files = await caches.open(FILES);
  await files.addAll([...SHELL.files]);
  const pages = await caches.open(PAGES);
  for (const { home, offline } of Object.values(SHELL.locales)) {
    await keep(pages, offline, await fetch(offline, { cache: "no-store" }));
    // The home page is a kindness: a worker without it is still a shell.
    try {
      if (!(await pages.match(home))) await keep(pages, home, await fetch(home, { cache: "no-store" }));
    } catch {
      continue;
    }
  }
  await self.skipWaiting();
}

async function tidy(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name !== FILES && name !== PAGES) await caches.delete(name);
  }
  await self.clients.claim();
}

async function file(request: Request): Promise<Response> {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}

async function page(request: Request, address: URL): Promise<Response> {
  try {
    const answer = await fetch(request);
    if (homes.has(address.pathname) && address.search === "") {
      await keep(await caches.open(PAGES), address.pathname, answer.clone());
    }
    return answer;
  } catch {
    return (await kept(address)) ?? Response.error();
  }
}

/** Keep a page that is for everybody, with the moment it came. */
async function keep(pages: Cache, path: string, answer: Response): Promise<void> {
  if (!answer.ok || answer.redirected) return;
  if (/private|no-store/.test(answer.headers.get("cache-control") ?? "")) return;
  const headers = new Headers(answer.headers);
  headers.set(FETCHED, String(Date.now()));
  await pages.put(path, new Response(await answer.blob(), { status: answer.status, headers }));
}

/** Home as it was last seen, with a line that says when; anything else is the offline page. */
async function kept(address: URL): Promise<Response | undefined> {
  const language =
    Object.keys(SHELL.locales).find((one) => address.pathname === `/${one}` || address.pathname.startsWith(`/${one}/`)) ??
    Object.keys(SHELL.locales)[0];
  const locale = language === undefined ? undefined : SHELL.locales[language];
  if (language === undefined || locale === undefined) return undefined;
  const pages = await caches.open(PAGES);
  const home = address.pathname === locale.home ? await pages.match(locale.home) : undefined;
  if (home !== undefined) return dated(home, language, locale.words);
  return pages.match(locale.offline);
}

async function dated(answer: Response, language: string, words: Words): Promise<Response> {
  const fetched = Number(answer.headers.get(FETCHED));
  const moment = new Intl.DateTimeFormat(language, {
    hour: "2-digit",
    minute: "2-digit",
    day: "2-digit",
    month: "2-digit",
    year: "numeric",
    timeZone: "Asia/Ho_Chi_Minh",
  }).format(fetched);
  const html = (await answer.text())
    // The page counts ages from the server's moment: move that on by what has passed since.
    .replace(/ data-now="([^"]+)"/, (_, now: string) => {
      const later = new Date(Date.parse(now) + Math.max(0, Date.now() - fetched));
      return ` data-now="${later.toISOString()}" data-kept="${new Date(fetched).toISOString()}"`;
    })
    .replace(/<main\b[^>]*>/, (main) => `${main}<p class="kept-note" role="status">${words.kept.replace("{moment}", moment)}</p>`);
  const headers = new Headers(answer.headers);
  headers.delete("content-encoding");
  headers.delete("content-length");
  return new Response(html, { status: 200, headers });
}
