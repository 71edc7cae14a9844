/** The live map over the picture: MapLibre GL, asked for only when somebody wants it. */
import { GeoJSONSource, Map as LiveMap, setWorkerUrl, type MapGeoJSONFeature, type PointLike } from "maplibre-gl";
import type { Feature } from "geojson";
import worker from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import { type Catalog, type FixedName, HIT_LAYER, LEVEL_IMAGE, MARKS, only, styleOf } from "./style";

/** A thing on the map that stands in the list too. */
export interface Item {
  key: string;
  label: string;
  longitude: number | null;
  latitude: number | null;
  /** Drawn as a mark; an area only has a place to move to. */
  mark: boolean;
  rank: number;
  colour: string;
  /** What it says no longer holds: grey and hollow. */
  stale?: boolean;
}

export interface Asked {
  container: HTMLElement;
  bounds: [number, number, number, number];
  on: string;
  detailed: string[];
  names: FixedName[];
  entities: string[];
  items: Item[];
  words: Record<string, string>;
  /** Somebody chose something on the map, a thing or a unit; null: nothing there. */
  chosen(key: string | null, name: string, longitude: number, latitude: number, thing: boolean): void;
  lost(): void;
}

export interface Live {
  /** What must stand under the map for what is drawn on it besides our own land and units. */
  attributions: string[];
  point(key: string | null): void;
  choose(key: string | null, move: boolean): void;
  zoom(by: number): void;
  home(): void;
  /** Put marks in place of those of the same keys, take some away; what changed is ringed for a moment. */
  put(changed: Item[], gone: string[], ring: boolean): void;
  /** Where the form says the thing is; null: nowhere. */
  place(at: [number, number] | null): void;
  remove(): void;
}

const SHAPES = [
  "M2.5 8a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0z",
  "M8 2.5 14 13.5H2z",
  "M8 1.5 14.5 8 8 14.5 1.5 8z",
  "M2.5 2.5h11v11h-11z",
  "M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z",
  "m8 0 2 5.2L15.2 3 13 8l2.2 5-5.2-2.2L8 16l-2-5.2L.8 13 3 8 .8 3 6 5.2z",
];
const VIETNAM: [number, number, number, number] = [97, 4, 123, 26];
const FINGER = 9;
const RING_MS = 1200;
const MOST_RINGED = 50; // more at once would be a flicker

/** Opens the map and waits until it has drawn itself once. */
export async function openMap(asked: Asked): Promise<Live> {
  setWorkerUrl(worker);
  const answer = await fetch("/tiles/catalog.json", { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`catalog ${answer.status}`);
  const catalog = (await answer.json()) as Catalog;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const areas: FixedName[] = asked.items.flatMap(({ mark, label, longitude, latitude }) =>
    mark || longitude === null || latitude === null ? [] : [{ kind: "province", name: label, longitude, latitude }],
  );
  const style = () => {
    const theme = getComputedStyle(asked.container);
    return styleOf({ ...asked, areas, catalog, colour: (name) => theme.getPropertyValue(name).trim() || "#888888" });
  };
  const map = new LiveMap({
    container: asked.container,
    style: style(),
    bounds: asked.bounds,
    fitBoundsOptions: { padding: 16 },
    maxBounds: VIETNAM,
    minZoom: 3,
    maxZoom: 18,
    attributionControl: false, // it stands under the map, always, also without a script
    cooperativeGestures: true,
    dragRotate: false,
    touchPitch: false,
    pitchWithRotate: false,
    fadeDuration: calm ? 0 : 200,
    locale: {
      "Map.Title": asked.words["map"] ?? "",
      "CooperativeGesturesHandler.WindowsHelpText": asked.words["ctrl"] ?? "",
      "CooperativeGesturesHandler.MacHelpText": asked.words["cmd"] ?? "",
      "CooperativeGesturesHandler.MobileHelpText": asked.words["fingers"] ?? "",
    },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  const isPlaced = (one: Item) => one.mark && one.longitude !== null && one.latitude !== null;
  const located = new Map(asked.items.filter(isPlaced).map((one) => [one.key, one]));
  const byKey = new Map(asked.items.map((one) => [one.key, one]));
  let pointed: string | null = null;
  let chosen: string | null = null;
  let placed: [number, number] | null = null;
  let ringing: number | undefined;

  const setMarks = () => {
    const own: Item[] = placed ? [{ mark: true, key: "placed", label: "", longitude: placed[0], latitude: placed[1], rank: 0, colour: "" }] : [];
    (map.getSource(MARKS) as GeoJSONSource | undefined)?.setData({
      type: "FeatureCollection",
      features: [...located.values(), ...own].map(featureOf),
    });
  };
  const light = () => {
    map.setFilter("unit-pointed", only(pointed ?? ""));
    for (const layer of ["unit-chosen", "unit-chosen-edge"]) map.setFilter(layer, only(chosen ?? ""));
    map.setFilter("mark-lit", ["in", ["get", "key"], ["literal", [pointed ?? "", chosen ?? "", "placed"]]]);
  };
  const dress = () => {
    setMarks();
    light();
  };
  map.setMissingStyleImageResolver((id) => {
    if (id.startsWith(LEVEL_IMAGE)) map.addImage(id, levelImage(id, asked.container), { pixelRatio: 2 });
  });
  map.on("style.load", dress);
  const themes = new MutationObserver(() => map.setStyle(style(), { diff: false }));
  themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });

  const layersThere = () => ["mark", "mark-level", ...asked.entities.map((type) => `entities:${type}`), HIT_LAYER].filter((id) => map.getLayer(id));
  const at = (point: { x: number; y: number }): MapGeoJSONFeature | undefined => {
    const around: [PointLike, PointLike] = [[point.x - FINGER, point.y - FINGER], [point.x + FINGER, point.y + FINGER]];
    const near = map.queryRenderedFeatures(around, { layers: layersThere().filter((id) => id !== HIT_LAYER) });
    return near[0] ?? map.queryRenderedFeatures([point.x, point.y], { layers: [HIT_LAYER] })[0];
  };
  const keyOf = (feature: MapGeoJSONFeature | undefined) =>
    (feature?.properties["key"] ?? feature?.properties["unit_id"] ?? feature?.properties["id"] ?? null) as string | null;
  map.on("mousemove", ({ point }) => {
    const key = keyOf(at(point));
    if (key === pointed) return;
    pointed = key;
    map.getCanvas().style.cursor = key ? "pointer" : "";
    light();
  });
  map.on("click", ({ point, lngLat }) => {
    const feature = at(point);
    const key = keyOf(feature);
    chosen = key;
    light();
    const name = byKey.get(key ?? "")?.label ?? (feature?.properties["full_name"] as string | undefined) ?? key?.split(":").pop() ?? "";
    asked.chosen(key, name, lngLat.lng, lngLat.lat, key !== null && feature?.layer.id !== HIT_LAYER);
  });
  map.on("webglcontextlost", () => asked.lost());
  // A tile that answers "not found" last draws no frame, and only a frame notices that everything has answered.
  const nudging = window.setInterval(() => map.triggerRepaint(), 300);
  await new Promise<void>((done, failed) => {
    map.once("load", () => done());
    map.once("error", ({ error }) => (map.loaded() ? undefined : failed(error)));
    window.setTimeout(() => failed(new Error("the map took too long")), 30_000);
  })
    .catch((trouble: unknown) => {
      themes.disconnect();
      map.remove();
      throw trouble;
    })
    .finally(() => window.clearInterval(nudging));
  map.getCanvas().dataset["drawn"] = "yes";

  const still = calm ? { duration: 0 } : {};
  return {
    attributions: [catalog.base?.attribution, catalog.wmts?.attribution].filter((line): line is string => Boolean(line)),
    point(key) {
      pointed = key;
      light();
    },
    choose(key, move) {
      chosen = key;
      light();
      const item = byKey.get(key ?? "");
      if (move && item?.longitude != null && item.latitude != null) {
        map.easeTo({ center: [item.longitude, item.latitude], zoom: Math.max(map.getZoom(), 10.5), ...still });
      }
    },
    zoom: (by) => void map.zoomTo(map.getZoom() + by, still),
    home: () => void map.fitBounds(asked.bounds, { padding: 16, ...still }),
    put(changed, gone, ring) {
      for (const key of gone) {
        located.delete(key);
        byKey.delete(key);
      }
      for (const one of changed.filter(isPlaced)) {
        located.set(one.key, one);
        byKey.set(one.key, one);
      }
      const source = map.getSource(MARKS) as GeoJSONSource | undefined;
      void source?.updateData({ remove: gone, add: changed.filter(isPlaced).map(featureOf) });
      if (!ring || calm || changed.length === 0) return;
      map.setFilter("mark-pulse", ["in", ["get", "key"], ["literal", changed.slice(0, MOST_RINGED).map((one) => one.key)]]);
      window.clearTimeout(ringing);
      ringing = window.setTimeout(() => {
        if (map.getLayer("mark-pulse")) map.setFilter("mark-pulse", ["==", ["get", "key"], ""]);
      }, RING_MS);
    },
    place(at) {
      placed = at;
      dress();
    },
    remove() {
      themes.disconnect();
      map.remove();
    },
  };
}

function featureOf(one: Item): Feature {
  return {
    type: "Feature",
    properties: { key: one.key, label: one.label, rank: one.colour ? one.rank : 0, colour: one.colour, stale: one.stale === true },
    geometry: { type: "Point", coordinates: [one.longitude ?? 0, one.latitude ?? 0] },
  };
}

/** A level's shape in its official colour, with the theme's ring around it, twice as fine as the screen. */
function levelImage(id: string, container: HTMLElement): ImageData {
  const [, rank = "1", colour = "#888888"] = id.split(":");
  const side = 48;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  if (pen === null) return new ImageData(side, side);
  const shape = new Path2D(SHAPES[Math.min(Math.max(Number(rank), 1), SHAPES.length) - 1]);
  pen.setTransform(2.5, 0, 0, 2.5, 4, 4);
  pen.fillStyle = colour;
  pen.strokeStyle = getComputedStyle(container).getPropertyValue("--ring").trim() || "#12263a";
  pen.lineWidth = 1.6;
  pen.lineJoin = "round";
  pen.fill(shape);
  pen.stroke(shape);
  return pen.getImageData(0, 0, side, side);
}
