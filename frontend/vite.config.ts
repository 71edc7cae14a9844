// One build for every face: hashed files and their manifest into the package's static/ folder,
// each text with a Brotli and a gzip twin beside it, so that the server never compresses them.
import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { glyphTop } from "./plugins/glyph_top.ts";
import { draw, ICONS } from "./icons.ts";

const target = resolve(import.meta.dirname, "../src/haidang/web/static");
const fontLicence = "node_modules/@fontsource/be-vietnam-pro/LICENSE";
const compressible = /\.(css|js|mjs|svg|json|map|txt)$/;

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

const precompress: Plugin = {
  name: "precompress",
  apply: "build",
  closeBundle() {
    // The Open Font License travels with the fonts.
    copyFileSync(resolve(import.meta.dirname, fontLicence), join(target, "be-vietnam-pro-OFL.txt"));
    const mark = readFileSync(resolve(import.meta.dirname, "styles/mark.svg"), "utf8");
    for (const icon of ICONS) writeFileSync(join(target, icon.name), draw(mark, icon));
    for (const path of files(target).filter((one) => compressible.test(one))) {
      const plain = readFileSync(path);
      const brotli = brotliCompressSync(plain, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
          [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
        },
      });
      if (brotli.length < plain.length) writeFileSync(`${path}.br`, brotli);
      const gzip = gzipSync(plain, { level: 9 });
      if (gzip.length < plain.length) writeFileSync(`${path}.gz`, gzip);
    }
  },
};

export default defineConfig({
  base: "/static/",
  publicDir: false,
  plugins: [glyphTop, precompress],
  build: {
    // The floor (docs/reference/design.md): Chrome and Cốc Cốc 109, Safari 15.
    target: ["chrome109", "safari15"],
    outDir: target,
    emptyOutDir: true,
    manifest: true,
    assetsDir: ".",
    assetsInlineLimit: 0, // a data: address would need a hole in the Content-Security-Policy
    cssMinify: "lightningcss",
    modulePreload: false, // its polyfill would be an island of its own on every page
    rollupOptions: {
      input: ["styles/public.css", "styles/room.css", "styles/design.css", "islands/live.ts", "islands/alarms.ts", "islands/where.ts", "islands/shell.ts", "islands/clock.ts", "islands/charts.ts", "islands/dialogs.ts", "islands/pickers.ts", "islands/toasts.ts", "islands/map.ts", "islands/situation.ts", "islands/wall.ts", "islands/place_picker.ts", "sw.ts", "styles/mark.svg"],
      output: {
        entryFileNames: "[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
      },
    },
  },
});
