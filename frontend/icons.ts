/**
 * The PNG icons that an installed page needs, drawn at build from the mark (`styles/mark.svg`).
 *
 * The mark is made of filled polygons with straight edges: M, L, H, V, Z, absolute and relative. That is
 * all this understands; anything else stops the build.
 */
import { deflateSync } from "node:zlib";

type Point = readonly [number, number];

interface Shape {
  readonly fill: readonly [number, number, number];
  readonly opacity: number;
  readonly rings: readonly (readonly Point[])[];
}

/** How wide one icon is, how much of it the mark takes, and what it stands on. */
export interface Icon {
  readonly name: string;
  readonly size: number;
  readonly share: number;
  readonly ground: readonly [number, number, number, number];
}

const WHITE = [255, 255, 255, 255] as const;
const CLEAR = [255, 255, 255, 0] as const;

export const ICONS: readonly Icon[] = [
  { name: "icon-192.png", size: 192, share: 0.92, ground: CLEAR },
  { name: "icon-512.png", size: 512, share: 0.92, ground: CLEAR },
  { name: "icon-512-maskable.png", size: 512, share: 0.62, ground: WHITE },
  { name: "icon-180.png", size: 180, share: 0.74, ground: WHITE },
];

const SAMPLES = 4;

function ringsOf(path: string): Point[][] {
  const tokens = path.match(/[a-zA-Z]|-?(?:\d+\.?\d*|\.\d+)/g) ?? [];
  const rings: Point[][] = [];
  let [x, y] = [0, 0];
  let command = "";
  let place = 0;
  const number = (): number => Number(tokens[place++]);
  while (place < tokens.length) {
    if (/[a-zA-Z]/.test(tokens[place] ?? "")) command = tokens[place++] ?? "";
    const relative = command === command.toLowerCase();
    const [fromX, fromY] = relative ? [x, y] : [0, 0];
    switch (command.toUpperCase()) {
      case "M":
        [x, y] = [fromX + number(), fromY + number()];
        rings.push([[x, y]]);
        command = relative ? "l" : "L";
        continue;
      case "L":
        [x, y] = [fromX + number(), fromY + number()];
        break;
      case "H":
        x = fromX + number();
        break;
      case "V":
        y = fromY + number();
        break;
      case "Z":
        [x, y] = rings.at(-1)?.[0] ?? [0, 0];
        command = "";
        continue;
      default:
        throw new Error(`the mark has a path command that icons.ts does not know: ${command || tokens[place]}`);
    }
    rings.at(-1)?.push([x, y]);
  }
  return rings;
}

function shapesOf(svg: string): Shape[] {
  const shapes = [...svg.matchAll(/<path fill="#([0-9a-f]{6})"(?: fill-opacity="([\d.]+)")? d="([^"]+)"\/>/g)].map(
    ([, fill = "", opacity, path = ""]) => ({
      fill: [0, 2, 4].map((start) => parseInt(fill.slice(start, start + 2), 16)) as [number, number, number],
      opacity: opacity === undefined ? 1 : Number(opacity),
      rings: ringsOf(path),
    }),
  );
  if (shapes.length !== (svg.match(/<path\b/g) ?? []).length || !/viewBox="0 0 32 32"/.test(svg)) {
    throw new Error("the mark is not drawn as icons.ts reads it");
  }
  return shapes;
}

/** Where a horizontal line is inside a shape, by the non-zero rule: from, to, from, to, … */
function spansOf(shape: Shape, y: number): number[] {
  const crossings: [number, number][] = [];
  for (const ring of shape.rings) {
    ring.forEach(([x1, y1], place) => {
      const [x2, y2] = ring[(place + 1) % ring.length] ?? [x1, y1];
      if (y1 <= y === y2 <= y) return;
      crossings.push([x1 + ((y - y1) / (y2 - y1)) * (x2 - x1), y1 <= y ? 1 : -1]);
    });
  }
  const spans: number[] = [];
  let winding = 0;
  for (const [x, turn] of crossings.sort((one, other) => one[0] - other[0])) {
    if (winding === 0 || winding + turn === 0) spans.push(x);
    winding += turn;
  }
  return spans;
}

/** The rows of an icon: each pixel the mean of sixteen samples, colours weighted by what they cover. */
function pixels(shapes: readonly Shape[], icon: Icon): Buffer {
  const { size, share, ground } = icon;
  const rows = Buffer.alloc(size * (size * 4 + 1));
  const scale = 32 / (size * share);
  const edge = (size * (1 - share)) / 2;
  const sums = new Float64Array(size * 4);
  for (let row = 0; row < size; row += 1) {
    sums.fill(0);
    for (let fine = 0; fine < SAMPLES; fine += 1) {
      const y = (row + (fine + 0.5) / SAMPLES - edge) * scale;
      const layers = shapes.map((shape) => ({ shape, spans: spansOf(shape, y) })).filter((one) => one.spans.length > 0);
      for (let step = 0; step < size * SAMPLES; step += 1) {
        const x = ((step + 0.5) / SAMPLES - edge) * scale;
        let [red, green, blue] = [ground[0], ground[1], ground[2]] as [number, number, number];
        let alpha = ground[3] / 255;
        for (const { shape, spans } of layers) {
          let within = false;
          for (const end of spans) if (end <= x) within = !within;
          if (!within) continue;
          const under = alpha * (1 - shape.opacity);
          const over = shape.opacity + under;
          red = (shape.fill[0] * shape.opacity + red * under) / over;
          green = (shape.fill[1] * shape.opacity + green * under) / over;
          blue = (shape.fill[2] * shape.opacity + blue * under) / over;
          alpha = over;
        }
        const at = Math.floor(step / SAMPLES) * 4;
        sums[at] = (sums[at] ?? 0) + red * alpha;
        sums[at + 1] = (sums[at + 1] ?? 0) + green * alpha;
        sums[at + 2] = (sums[at + 2] ?? 0) + blue * alpha;
        sums[at + 3] = (sums[at + 3] ?? 0) + alpha;
      }
    }
    for (let column = 0; column < size; column += 1) {
      const to = row * (size * 4 + 1) + 1 + column * 4;
      const covered = sums[column * 4 + 3] ?? 0;
      for (let channel = 0; channel < 3; channel += 1) {
        rows[to + channel] = covered === 0 ? 255 : Math.round((sums[column * 4 + channel] ?? 0) / covered);
      }
      rows[to + 3] = Math.round((covered / (SAMPLES * SAMPLES)) * 255);
    }
  }
  return rows;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function chunk(kind: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(kind, "ascii"), content]);
  let sum = 0xffffffff;
  for (const byte of body) sum = (TABLE[(sum ^ byte) & 0xff] ?? 0) ^ (sum >>> 8);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(content.length);
  checksum.writeUInt32BE((sum ^ 0xffffffff) >>> 0);
  return Buffer.concat([length, body, checksum]);
}

/** One icon as PNG (W3C PNG, third edition: 8 bits, true colour with alpha, no filter). */
export function draw(svg: string, icon: Icon): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(icon.size, 0);
  header.writeUInt32BE(icon.size, 4);
  header.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(pixels(shapesOf(svg), icon), { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}
