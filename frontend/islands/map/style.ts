/**
 * The style of the live map, made from the colours of the page's theme (styles/map.css) and from
 * what the catalogue of tiles says there is. Labels are drawn from the page's own web font.
 */
import type { FeatureCollection } from "geojson";
import type {
  ExpressionSpecification,
  FilterSpecification,
  LayerSpecification,
  SourceSpecification,
  StyleSpecification,
} from "maplibre-gl";
import latin400 from "@fontsource/be-vietnam-pro/files/be-vietnam-pro-latin-400-normal.woff2?url";
import latinExt400 from "@fontsource/be-vietnam-pro/files/be-vietnam-pro-latin-ext-400-normal.woff2?url";
import vietnamese400 from "@fontsource/be-vietnam-pro/files/be-vietnam-pro-vietnamese-400-normal.woff2?url";
import latin600 from "@fontsource/be-vietnam-pro/files/be-vietnam-pro-latin-600-normal.woff2?url";
import latinExt600 from "@fontsource/be-vietnam-pro/files/be-vietnam-pro-latin-ext-600-normal.woff2?url";
import vietnamese600 from "@fontsource/be-vietnam-pro/files/be-vietnam-pro-vietnamese-600-normal.woff2?url";

interface Tiles {
  tiles: string;
  zooms: [number, number];
  attribution?: string;
}

/** `/tiles/catalog.json`: what there is to draw, and the lines that must stand under it. */
export interface Catalog {
  land: Tiles;
  units: Tiles;
  base: (Tiles & { bounds: [number, number, number, number] }) | null;
  entities: Record<string, Tiles>;
  wmts: { tiles: string; attribution: string | null } | null;
}

/** A name that stands on every map: provinces, the sea, the archipelagos and whose they are. */
export interface FixedName {
  kind: "sea" | "islands" | "province";
  name: string;
  longitude: number;
  latitude: number;
}

export interface Wanted {
  catalog: Catalog;
  /** The day whose units are drawn: 2026-11-22. */
  on: string;
  /** Codes of the provinces whose wards we hold finely: their coarse land gives way close by. */
  detailed: string[];
  names: FixedName[];
  /** The names of the areas of the list, each where it belongs. */
  areas: FixedName[];
  /** Entity types whose tiles are drawn. */
  entities: string[];
  colour(name: string): string;
}

export const MARKS = "marks";
export const LEVEL_IMAGE = "level:";
/** The wards as land: what a tap falls on. */
export const HIT_LAYER = "land-fine";
export const AREAS = "areas";
/** As far as we hold the land around Vietnam (web/shared/maps.py): beyond, nothing is said to be sea. */
const WATERS = [[100, 6], [120, 6], [120, 24], [100, 24], [100, 6]];
const WARDS_FROM = 7;
const FONT = ["Be Vietnam Pro"];
const BOLD = ["Be Vietnam Pro SemiBold"];
const LATIN = ["U+0000-00FF", "U+2000-206F"];
const VIETNAMESE = ["U+0102-0103", "U+0110-0111", "U+0128-0129", "U+0168-0169", "U+01A0-01A1", "U+01AF-01B0", "U+0300-0323", "U+1EA0-1EF9"];
const LATIN_EXT = ["U+0100-0101", "U+0104-010F", "U+0112-0127", "U+012A-0167", "U+016A-019F"];

function here(address: string): string {
  return /^https?:/.test(address) ? address : location.origin + address;
}

function faces(latin: string, vietnamese: string, latinExt: string) {
  return [
    { url: here(latin), "unicode-range": LATIN },
    { url: here(vietnamese), "unicode-range": VIETNAMESE },
    { url: here(latinExt), "unicode-range": LATIN_EXT },
  ];
}

function vector(tiles: Tiles): SourceSpecification {
  return { type: "vector", tiles: [here(tiles.tiles)], minzoom: tiles.zooms[0], maxzoom: Math.min(tiles.zooms[1], 14) };
}

/** Nobody's unit: the filter of what is pointed at or chosen before anything is. */
export function only(key: string): FilterSpecification {
  return ["==", ["get", "unit_id"], key];
}

export function styleOf(wanted: Wanted): StyleSpecification {
  const { catalog, colour } = wanted;
  const sources: Record<string, SourceSpecification> = {
    land: vector(catalog.land),
    units: vector({ ...catalog.units, tiles: catalog.units.tiles.replace("{on}", wanted.on) }),
    waters: { type: "geojson", data: { type: "Polygon", coordinates: [WATERS] } },
    names: { type: "geojson", data: points(wanted.names) },
    [AREAS]: { type: "geojson", data: points(wanted.areas) },
    [MARKS]: { type: "geojson", promoteId: "key", data: { type: "FeatureCollection", features: [] } },
  };
  for (const type of wanted.entities) {
    const tiles = catalog.entities[type];
    if (tiles) sources[`entities:${type}`] = vector(tiles);
  }
  if (catalog.base) sources["base"] = { ...vector(catalog.base), bounds: catalog.base.bounds } as SourceSpecification;
  if (catalog.wmts) sources["wmts"] = { type: "raster", tiles: [catalog.wmts.tiles], tileSize: 256 };
  return {
    version: 8,
    "font-faces": {
      "Be Vietnam Pro": faces(latin400, vietnamese400, latinExt400),
      "Be Vietnam Pro SemiBold": faces(latin600, vietnamese600, latinExt600),
    },
    sources,
    layers: [
      { id: "beyond", type: "background", paint: { "background-color": colour("--map-beyond") } },
      { id: "sea", type: "fill", source: "waters", paint: { "fill-color": colour("--map-sea"), "fill-antialias": false } },
      ...land(wanted),
      ...(catalog.wmts ? [{ id: "wmts", type: "raster", source: "wmts" } satisfies LayerSpecification] : []),
      ...(catalog.base ? base(colour) : []),
      ...units(colour),
      ...wanted.entities.filter((type) => catalog.entities[type]).flatMap((type) => entities(type, colour)),
      ...labels(wanted),
      ...marks(colour),
    ],
  };
}

function points(names: FixedName[]): FeatureCollection {
  return {
    type: "FeatureCollection",
    features: names.map((one) => ({
      type: "Feature",
      properties: { name: one.name, kind: one.kind },
      geometry: { type: "Point", coordinates: [one.longitude, one.latitude] },
    })),
  };
}

/** The coast is a line under the land, so that only its outer half is seen: at 3:1 or better. */
function land({ colour, detailed }: Wanted): LayerSpecification[] {
  const coarse: FilterSpecification = ["!", ["in", ["get", "code"], ["literal", detailed]]];
  const coast = { "line-color": colour("--map-coast"), "line-width": 2.6 };
  const ground = { "fill-color": colour("--map-land"), "fill-antialias": false };
  const source = "land";
  return [
    { id: "neighbour", type: "fill", source, "source-layer": "neighbour", paint: { "fill-color": colour("--map-neighbour") } },
    // Our outline of a border and a neighbour's differ by kilometres: what is between is not sea.
    { id: "neighbour-edge", type: "line", source, "source-layer": "neighbour", layout: { "line-join": "round" }, paint: { "line-color": colour("--map-neighbour"), "line-width": ["interpolate", ["exponential", 2], ["zoom"], 4, 1, 12, 80] } },
    { id: "coast-far", type: "line", source, "source-layer": "province", maxzoom: WARDS_FROM, paint: coast },
    { id: "coast-near", type: "line", source, "source-layer": "province", minzoom: WARDS_FROM, filter: coarse, paint: coast },
    { id: "coast-fine", type: "line", source: "units", "source-layer": "ward", minzoom: WARDS_FROM, paint: coast },
    { id: "land-far", type: "fill", source, "source-layer": "province", maxzoom: WARDS_FROM, paint: ground },
    { id: "land-near", type: "fill", source, "source-layer": "province", minzoom: WARDS_FROM, filter: coarse, paint: ground },
    { id: HIT_LAYER, type: "fill", source: "units", "source-layer": "ward", minzoom: WARDS_FROM, paint: ground },
    { id: "islet", type: "circle", source, "source-layer": "island", maxzoom: 11, paint: { "circle-radius": 2, "circle-color": colour("--map-coast") } },
  ];
}

function units(colour: Wanted["colour"]): LayerSpecification[] {
  const source = "units";
  const border = colour("--map-border");
  return [
    { id: "unit-pointed", type: "fill", source, "source-layer": "ward", filter: only(""), paint: { "fill-color": colour("--map-hover"), "fill-opacity": 0.8 } },
    { id: "unit-chosen", type: "fill", source, "source-layer": "ward", filter: only(""), paint: { "fill-color": colour("--map-chosen"), "fill-opacity": 0.75 } },
    { id: "ward-border", type: "line", source, "source-layer": "ward", minzoom: WARDS_FROM, paint: { "line-color": border, "line-width": ["interpolate", ["linear"], ["zoom"], 7, 0.4, 12, 1.2] } },
    { id: "province-border", type: "line", source: "land", "source-layer": "province", maxzoom: 10, paint: { "line-color": border, "line-width": 1.2 } },
    { id: "unit-chosen-edge", type: "line", source, "source-layer": "ward", filter: only(""), paint: { "line-color": colour("--map-chosen-edge"), "line-width": 2.5 } },
  ];
}

/** The ground's quiet colour by what it is used for (kinds of places/basemap/features.py); else the land's own. */
export const GROUNDS: Record<string, string[]> = {
  "--map-green": ["wood", "grass", "park", "pitch", "cemetery"],
  "--map-farm": ["farm"],
  "--map-homes": ["residential"],
  "--map-trade": ["commercial", "school", "hospital"],
  "--map-industry": ["industrial", "airport"],
  "--map-sand": ["sand"],
  "--map-wetland": ["wetland"],
};

function landuse(colour: Wanted["colour"]): ExpressionSpecification {
  const pairs = Object.entries(GROUNDS).flatMap(([token, kinds]) => [kinds, colour(token)]);
  return ["match", ["get", "kind"], ...pairs, colour("--map-land")] as unknown as ExpressionSpecification;
}

function base(colour: Wanted["colour"]): LayerSpecification[] {
  const source = "base";
  const breadth: ExpressionSpecification = [
    "interpolate", ["exponential", 1.6], ["zoom"],
    8, ["match", ["get", "kind"], ["motorway", "trunk", "primary"], 1, 0.3],
    16, ["match", ["get", "kind"], ["motorway", "trunk", "primary"], 14, ["secondary", "tertiary"], 10, ["path", "rail"], 2, 7],
  ];
  return [
    { id: "landuse", type: "fill", source, "source-layer": "landuse", paint: { "fill-color": landuse(colour), "fill-opacity": 0.7 } },
    { id: "water", type: "fill", source, "source-layer": "water", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": colour("--map-sea") } },
    { id: "waterway", type: "line", source, "source-layer": "water", filter: ["==", ["geometry-type"], "LineString"], paint: { "line-color": colour("--map-water-line"), "line-width": 1.4 } },
    { id: "building", type: "fill", source, "source-layer": "building", minzoom: 14, paint: { "fill-color": colour("--map-building") } },
    { id: "street-edge", type: "line", source, "source-layer": "street", minzoom: 12, layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": colour("--map-street-edge"), "line-width": breadth, "line-gap-width": 0 } },
    { id: "street", type: "line", source, "source-layer": "street", layout: { "line-cap": "round", "line-join": "round" }, paint: { "line-color": colour("--map-street"), "line-width": breadth, "line-opacity": 0.95 } },
  ];
}

function written(colour: Wanted["colour"], ink = "--map-ink", halo = "--map-halo") {
  return { "text-color": colour(ink), "text-halo-color": colour(halo), "text-halo-width": 1.6 };
}

function labels({ colour, catalog, areas }: Wanted): LayerSpecification[] {
  const found: LayerSpecification[] = [];
  if (catalog.base) {
    found.push({
      id: "street-name", type: "symbol", source: "base", "source-layer": "street", minzoom: 13, filter: ["has", "name"],
      layout: { "symbol-placement": "line", "text-field": ["get", "name"], "text-font": FONT, "text-size": 12 }, paint: written(colour),
    }, {
      id: "place-name", type: "symbol", source: "base", "source-layer": "place", minzoom: 11, filter: ["has", "name"],
      layout: { "text-field": ["get", "name"], "text-font": FONT, "text-size": 12 }, paint: written(colour),
    });
  }
  return [
    ...found,
    // Names out of tiles stand once in each tile: only where the page brings none.
    { id: "ward-name", type: "symbol", ...(areas.length ? { source: AREAS, minzoom: 6 } : { source: "units", "source-layer": "ward", minzoom: 9 }), layout: { "text-field": ["get", "name"], "text-font": FONT, "text-size": ["interpolate", ["linear"], ["zoom"], 9, 11, 13, 15], "text-max-width": 7, "text-padding": 4 }, paint: written(colour) },
    { id: "province-name", type: "symbol", source: "names", maxzoom: 9, filter: ["==", ["get", "kind"], "province"], layout: { "text-field": ["get", "name"], "text-font": BOLD, "text-size": 12, "text-max-width": 7, "text-padding": 6 }, paint: written(colour) },
    { id: "fixed-name", type: "symbol", source: "names", filter: ["!=", ["get", "kind"], "province"], layout: { "text-field": ["get", "name"], "text-font": BOLD, "text-size": 12, "text-max-width": 12, "text-allow-overlap": true }, paint: written(colour, "--map-sea-ink", "--map-sea") },
  ];
}

function entities(type: string, colour: Wanted["colour"]): LayerSpecification[] {
  const source = `entities:${type}`;
  const ring = { "circle-stroke-color": colour("--map-halo"), "circle-stroke-width": 1 };
  return [
    { id: source, type: "circle", source, "source-layer": "entity", filter: ["!", ["has", "count"]], paint: { "circle-radius": 4.5, "circle-color": colour("--map-mark"), ...ring } },
    { id: `${source}:many`, type: "circle", source, "source-layer": "entity", filter: ["has", "count"], paint: { "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "count"]], 1, 5, 30, 16], "circle-color": colour("--map-mark"), "circle-opacity": 0.85, ...ring } },
    { id: `${source}:count`, type: "symbol", source, "source-layer": "entity", filter: ["all", ["has", "count"], [">", ["get", "count"], 9]], layout: { "text-field": ["concat", ["to-string", ["get", "count"]], ["case", ["has", "more"], "+", ""]], "text-font": BOLD, "text-size": 11 }, paint: { "text-color": colour("--map-on-mark") } },
  ];
}

function marks(colour: Wanted["colour"]): LayerSpecification[] {
  const plain: FilterSpecification = ["==", ["get", "rank"], 0];
  const pointed: FilterSpecification = ["==", ["get", "key"], ""];
  const stale: ExpressionSpecification = ["==", ["get", "stale"], true];
  return [
    { id: "mark-lit", type: "circle", source: MARKS, filter: pointed, paint: { "circle-radius": 14, "circle-color": colour("--map-chosen"), "circle-stroke-color": colour("--map-chosen-edge"), "circle-stroke-width": 2 } },
    { id: "mark", type: "circle", source: MARKS, filter: plain, paint: { "circle-radius": ["interpolate", ["linear"], ["zoom"], 7, 4, 12, 7], "circle-color": ["case", stale, colour("--map-halo"), colour("--map-mark")], "circle-stroke-color": ["case", stale, colour("--stale"), colour("--map-halo")], "circle-stroke-width": ["case", stale, 2.5, 1.5] } },
    { id: "mark-pulse", type: "circle", source: MARKS, filter: pointed, paint: { "circle-radius": 16, "circle-opacity": 0, "circle-stroke-color": colour("--act"), "circle-stroke-width": 3 } },
    { id: "mark-level", type: "symbol", source: MARKS, filter: ["!", plain], layout: { "icon-image": ["concat", LEVEL_IMAGE, ["to-string", ["get", "rank"]], ":", ["get", "colour"]], "icon-allow-overlap": true, "symbol-sort-key": ["get", "rank"] } },
    {
      id: "mark-name", type: "symbol", source: MARKS, minzoom: 8.5,
      layout: { "text-field": ["get", "label"], "text-font": BOLD, "text-size": 12, "text-variable-anchor": ["left", "right", "top", "bottom"], "text-radial-offset": 1, "text-justify": "auto", "text-max-width": 12, "text-optional": true },
      paint: written(colour),
    },
  ];
}
