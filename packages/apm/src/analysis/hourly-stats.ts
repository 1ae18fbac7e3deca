import { hourOfWeek } from './hour-of-week.js';
import { OperationStats, pooled } from './operation-stats.js';

/** How closely the figures of a baseline belong to the hour that was asked for. */
export type BaselineBucket = 'hour-of-week' | 'hour-of-day' | 'all';

const hourMs = 3_600_000;
/** A cell beside its sketch, as measured on many. */
const cellBytes = 400;

/** The time that an operation table lives by. */
export interface TableTime {
  /** Epoch milliseconds of the last roll. */
  nowMs: number;
  readonly bucketMs: number;
  /** Time after which an old span weighs half. */
  readonly halfLifeMs: number;
}

/** What was seen in one hour of the week or of the day, over all its occurrences. */
export class HourCell {
  readonly stats: OperationStats = new OperationStats();
  /** Epoch milliseconds between which the figures lie. */
  firstMs: number = Number.POSITIVE_INFINITY;
  lastMs: number = Number.NEGATIVE_INFINITY;
  /** Milliseconds of observation; old ones fade as the spans do. */
  observedMs = 0;
  /** Hours since the epoch of the newest occurrence, and whether there was one before. */
  newestHour: number = Number.NEGATIVE_INFINITY;
  recurred = false;
  /** When the figures were made to fade last. */
  fadedMs: number;

  constructor(nowMs: number) {
    this.fadedMs = nowMs;
  }

  /** Takes spans of a stretch of time inside of one hour. */
  add(stats: OperationStats, fromMs: number, toMs: number): void {
    const hour = Math.floor(fromMs / hourMs);
    if (this.newestHour !== hour) {
      this.recurred ||= this.newestHour !== Number.NEGATIVE_INFINITY;
      this.newestHour = Math.max(this.newestHour, hour);
    }
    this.observedMs += Math.max(0, toMs - fromMs);
    if (fromMs < this.firstMs) this.firstMs = fromMs;
    if (toMs > this.lastMs) this.lastMs = toMs;
    this.stats.merge(stats);
  }

  merge(other: HourCell): void {
    this.recurred ||= other.recurred || (other.newestHour !== this.newestHour && this.stats.count > 0);
    this.newestHour = Math.max(this.newestHour, other.newestHour);
    this.observedMs += other.observedMs;
    this.firstMs = Math.min(this.firstMs, other.firstMs);
    this.lastMs = Math.max(this.lastMs, other.lastMs);
    this.stats.merge(other.stats);
  }

  /** Lets the figures fade up to an instant. */
  fade({ nowMs, halfLifeMs }: TableTime): void {
    // Before the first roll there is no time to count from.
    if (this.fadedMs === 0) this.fadedMs = nowMs;
    // Small steps change nothing that anybody could see.
    if (nowMs - this.fadedMs < halfLifeMs / 64) return;
    const factor = 0.5 ** ((nowMs - this.fadedMs) / halfLifeMs);
    this.stats.scale(factor);
    this.observedMs *= factor;
    this.fadedMs = nowMs;
  }

  get bytes(): number {
    return cellBytes + this.stats.durationMs.bytes;
  }
}

/**
 * What is usual for an operation by hour of the week, in memory that grows only with the hours and latencies seen.
 *
 * Hours may be folded: then the seven days share 24 cells, and after another folding there are none. The figures of all
 * hours together are not kept here.
 */
export class HourlyStats {
  /** The finest cells that are kept. */
  level: BaselineBucket = 'hour-of-week';
  /** By hour of the week. */
  readonly weekly: (HourCell | undefined)[] = [];
  /** By hour of the day: what was folded. */
  readonly daily: (HourCell | undefined)[] = [];
  #bytes = 0;

  /** Estimated bytes of all cells. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes spans of a stretch of time inside of one hour. */
  add(stats: OperationStats, fromMs: number, toMs: number, time: TableTime): void {
    if (this.level === 'all') return;
    const hour = hourOfWeek(fromMs);
    const cell =
      this.level === 'hour-of-week' ? this.#cell(this.weekly, hour, time) : this.#cell(this.daily, hour % 24, time);
    const before = cell.bytes;
    cell.fade(time);
    cell.add(stats, fromMs, toMs);
    this.#bytes += cell.bytes - before;
  }

  /** The cells whose sum is one hour; none when that level is folded or was never seen. */
  cellsOf(bucket: 'hour-of-week' | 'hour-of-day', hour: number, time: TableTime): HourCell[] {
    const day = hour % 24;
    const cells =
      bucket === 'hour-of-week'
        ? [this.weekly[hour]]
        : [this.daily[day], ...Array.from({ length: 7 }, (_, weekday) => this.weekly[weekday * 24 + day])];
    const found = cells.filter((cell) => cell !== undefined);
    for (const cell of found) cell.fade(time);
    return found;
  }

  /** Puts a cell in its place, as it was saved. */
  restore(bucket: 'hour-of-week' | 'hour-of-day', hour: number, cell: HourCell): void {
    const cells = bucket === 'hour-of-week' ? this.weekly : this.daily;
    this.#bytes += cell.bytes - (cells[hour]?.bytes ?? 0);
    cells[hour] = cell;
  }

  /** Takes over the cells of others, which are given up to this. */
  merge(other: HourlyStats): void {
    if (other.level === 'all') this.level = 'all';
    else if (other.level === 'hour-of-day' && this.level === 'hour-of-week') this.level = 'hour-of-day';
    for (const [bucket, cells] of [
      ['hour-of-week', other.weekly],
      ['hour-of-day', other.daily],
    ] as const) {
      cells.forEach((cell, hour) => {
        if (cell === undefined) return;
        const own = (bucket === 'hour-of-week' ? this.weekly : this.daily)[hour];
        if (own !== undefined) cell.merge(own);
        this.restore(bucket, hour, cell);
      });
    }
  }

  /** Gives up the finest cells: those of the week become part of the day's, those of the day end. */
  fold(time: TableTime): void {
    if (this.level === 'hour-of-week') {
      this.level = 'hour-of-day';
      this.weekly.forEach((cell, hour) => {
        if (cell === undefined) return;
        cell.fade(time);
        const into = this.#cell(this.daily, hour % 24, time);
        into.fade(time);
        into.merge(cell);
      });
      this.weekly.length = 0;
    } else {
      this.level = 'all';
      this.weekly.length = 0;
      this.daily.length = 0;
    }
    this.#bytes = this.daily.reduce((sum, cell) => sum + (cell?.bytes ?? 0), 0);
  }

  #cell(cells: (HourCell | undefined)[], at: number, time: TableTime): HourCell {
    let cell = cells[at];
    if (cell === undefined) {
      cell = new HourCell(time.nowMs);
      cells[at] = cell;
      this.#bytes += cell.bytes;
    }
    return cell;
  }
}

/** A stretch of time whose spans are not part of the cells yet. */
export interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
  readonly stats: OperationStats;
}

/** What is known of one operation of one process, or of several. */
export interface OperationFigures {
  readonly all: OperationStats;
  readonly hours: HourlyStats;
  readonly stretches: readonly Stretch[];
  readonly firstMs: number;
  readonly lastMs: number;
}

/** The figures that say best what is usual at one hour. */
export interface ChosenFigures {
  readonly bucket: BaselineBucket;
  readonly stats: OperationStats;
  readonly firstMs: number;
  readonly lastMs: number;
  /** Time for which the operation was watched. */
  readonly observedMs: number;
  /** Whether the figures come from more than the present hour. */
  readonly recurred: boolean;
}

/** The figures of the hour of the week when it has enough spans, else of the hour of the day, else all. */
export function chooseFigures(
  parts: readonly OperationFigures[],
  atMs: number,
  minSamples: number,
  time: TableTime,
): ChosenFigures {
  const hour = hourOfWeek(atMs);
  for (const bucket of ['hour-of-week', 'hour-of-day'] as const) {
    const cell = new HourCell(time.nowMs);
    for (const { hours, stretches } of parts) {
      for (const known of hours.cellsOf(bucket, hour, time)) cell.merge(known);
      if (hours.level === 'all' || (hours.level === 'hour-of-day' && bucket === 'hour-of-week')) continue;
      for (const { fromMs, toMs, stats } of stretches) {
        const own = hourOfWeek(fromMs);
        if (own === hour || (bucket === 'hour-of-day' && own % 24 === hour % 24)) cell.add(stats, fromMs, toMs);
      }
    }
    if (cell.stats.count >= minSamples) {
      const { stats, firstMs, lastMs, observedMs, recurred } = cell;
      return { bucket, stats, firstMs, lastMs, observedMs, recurred };
    }
  }
  const firstMs = Math.min(...parts.map((part) => part.firstMs));
  const lastMs = Math.max(...parts.map((part) => part.lastMs));
  const stats = pooled(parts.flatMap(({ all, stretches }) => [all, ...stretches.map((stretch) => stretch.stats)]));
  return { bucket: 'all', stats, firstMs, lastMs, observedMs: lastMs - firstMs, recurred: false };
}
