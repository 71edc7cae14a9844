/** Days as people write them (21/11/2026), and a calendar of a month with Monday first. Pure. */

export interface Day {
  readonly year: number;
  readonly month: number; // 1 to 12
  readonly day: number;
}

/** The day that was typed: 21/11/2026, 21-11-2026, 21.11.2026 or 2026-11-21; null for anything else. */
export function readDay(text: string): Day | null {
  const local = /^\s*(\d{1,2})[/.\-\s](\d{1,2})[/.\-\s](\d{4})\s*$/.exec(text);
  const iso = /^\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*$/.exec(text);
  const [year, month, day] =
    local !== null ? [local[3], local[2], local[1]] : iso !== null ? [iso[1], iso[2], iso[3]] : [];
  const found = { year: Number(year), month: Number(month), day: Number(day) };
  return iso === null && local === null ? null : same(found, shifted(found, 0)) ? found : null;
}

export function writeDay({ year, month, day }: Day): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  return `${two(day)}/${two(month)}/${String(year).padStart(4, "0")}`;
}

export function isoDay({ year, month, day }: Day): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(day)}`;
}

export function same(one: Day, other: Day): boolean {
  return one.year === other.year && one.month === other.month && one.day === other.day;
}

/** The day so many days later. */
export function shifted({ year, month, day }: Day, days: number): Day {
  return ofDate(new Date(Date.UTC(year, month - 1, day + days)));
}

/** The first day of the month so many months later. */
export function monthLater({ year, month }: Day, months: number): Day {
  return ofDate(new Date(Date.UTC(year, month - 1 + months, 1)));
}

/** The weeks of a month from Monday to Sunday; null before its first and after its last day. */
export function weeks({ year, month }: Day): (Day | null)[][] {
  const before = (new Date(Date.UTC(year, month - 1, 1)).getUTCDay() + 6) % 7;
  const length = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const cells = Array.from({ length: Math.ceil((before + length) / 7) * 7 }, (_, place): Day | null => {
    const day = place - before + 1;
    return day < 1 || day > length ? null : { year, month, day };
  });
  return Array.from({ length: cells.length / 7 }, (_, week) => cells.slice(week * 7, week * 7 + 7));
}

function ofDate(date: Date): Day {
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}
