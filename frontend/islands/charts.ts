/**
 * A live chart over a chart that the server drew, from the numbers of the table that is its twin.
 *
 * `<figure data-island="chart" data-table="id" data-kind="line">` holds the drawn chart; the table's rows
 * are a moment (`<th><time datetime>`) and a number (`<td data-value>`, empty for none). When the rows
 * change (a live region), so does the chart. Without this script the drawn chart and the table stand.
 */

import type { init } from "./charts/engine";

type Chart = ReturnType<typeof init>;

interface Row {
  readonly words: string;
  readonly value: number | null;
}

function rowsOf(table: HTMLTableElement): Row[] {
  return [...(table.tBodies[0]?.rows ?? [])].map((row) => {
    const value = row.querySelector<HTMLElement>("[data-value]")?.dataset["value"] ?? "";
    return { words: row.cells[0]?.textContent?.trim() ?? "", value: value === "" ? null : Number(value) };
  });
}

function paint(chart: Chart, figure: HTMLElement, table: HTMLTableElement): void {
  const style = getComputedStyle(figure);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const rows = rowsOf(table);
  const unit = figure.dataset["unit"] ?? "";
  const number = new Intl.NumberFormat(document.documentElement.lang || "vi");
  const text = { color: token("--dim"), fontFamily: style.fontFamily, fontSize: 12 };
  chart.setOption({
    animation: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
    animationDuration: 0, // it lies over the same chart, drawn already: only what changes later moves
    grid: { left: 8, right: 12, top: 16, bottom: 8, containLabel: true },
    // Drawn in the canvas: a tooltip of HTML would bring inline styles, which our policy refuses.
    tooltip: {
      trigger: "axis",
      renderMode: "richText",
      backgroundColor: token("--sea"),
      borderColor: token("--dim-on-sea"),
      textStyle: { ...text, color: token("--on-sea") },
      valueFormatter: (value: unknown) =>
        typeof value === "number" ? `${number.format(value)} ${unit}` : (figure.dataset["missing"] ?? "–"),
    },
    xAxis: {
      type: "category",
      data: rows.map((row) => row.words),
      axisLabel: text,
      axisLine: { lineStyle: { color: token("--dim") } },
      axisTick: { show: false },
    },
    yAxis: {
      type: "value",
      axisLabel: { ...text, formatter: (value: number) => number.format(value) },
      splitLine: { lineStyle: { color: token("--hairline") } },
    },
    series: [
      {
        type: figure.dataset["kind"] === "bar" ? "bar" : "line",
        data: rows.map((row) => row.value ?? "-"), // a gap, never a zero
        connectNulls: false,
        symbolSize: 6,
        itemStyle: { color: token("--link") },
        lineStyle: { color: token("--link"), width: 2 },
      },
    ],
  });
}

async function enliven(figure: HTMLElement): Promise<void> {
  const table = document.getElementById(figure.dataset["table"] ?? "");
  const drawn = figure.querySelector<SVGElement>("svg");
  if (!(table instanceof HTMLTableElement) || drawn === null) return;
  const { init: start } = await import("./charts/engine");
  const place = document.createElement("div");
  place.className = "chart-live";
  place.setAttribute("aria-hidden", "true"); // the table says the same
  drawn.before(place);
  const chart = start(place);
  paint(chart, figure, table);
  drawn.classList.add("unseen"); // still there for who hears the page
  new MutationObserver(() => paint(chart, figure, table)).observe(table, { childList: true, subtree: true });
  new ResizeObserver(() => chart.resize()).observe(place);
}

const figures = document.querySelectorAll<HTMLElement>('[data-island="chart"]');
if ("IntersectionObserver" in window) {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      // Where it cannot be fetched, the drawn chart stays.
      if (entry.target instanceof HTMLElement) void enliven(entry.target).catch(() => undefined);
    }
  });
  for (const figure of figures) seen.observe(figure);
}
