// MapLibre 6.17 takes a glyph whose top is 0 for one without a top and draws it a third of an em low:
// Ố Ồ Ẫ Ễ. The text is changed at build; when it is no longer there the build fails, so that somebody
// looks whether the defect is mended or has moved. See ADR 0049.
import type { Plugin } from "vite";

const DEFECT = /top:(\w+)\.glyphTop\/2-([\d.]+)\|\|-8/g;

export function mendGlyphTop(code: string): string {
  const found = [...code.matchAll(DEFECT)];
  if (found.length !== 1) {
    throw new Error(`maplibre-gl: the text of the glyph defect is there ${found.length} times, not once (ADR 0049)`);
  }
  return code.replace(DEFECT, "top:Number.isFinite($1.glyphTop)?$1.glyphTop/2-$2:-8");
}

export const glyphTop: Plugin = {
  name: "glyph-top",
  apply: "build",
  enforce: "pre",
  transform(code, id) {
    return /maplibre-gl\/dist\/maplibre-gl\.mjs$/.test(id) ? { code: mendGlyphTop(code), map: null } : null;
  },
};
