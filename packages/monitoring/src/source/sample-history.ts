import type { Clock } from '@mnops/core/spi';
import type { AnySeries } from '../metrics/family.js';
import type { MetricRegistry } from '../metrics/registry.js';
import type { HistogramSeries } from '../metrics/series.js';
import type { MetricType } from '../metrics/types.js';

/** How much of the past is kept. */
export interface HistoryLimits {
  /** Longest window that a query can look back, in milliseconds. */
  readonly windowMs: number;
  /** Milliseconds between two samples. */
  readonly everyMs: number;
  /** Bytes that all samples may take; series beyond are not kept and counted. */
  readonly maxBytes: number;
}

/** The samples of one label set: one column per figure (value; or buckets, sum and count). */
interface Track {
  readonly columns: readonly Float64Array[];
  /** The series that writes now; another one after it was removed and began again. */
  series: AnySeries;
  /** What earlier series of this label set had reached, so that growth over a removal is not lost. */
  readonly offsets: number[];
  readonly type: MetricType;
  /** Tick at which the series was first seen. */
  readonly bornTick: number;
}

/** What a series was at two moments: the edge of a window and its end. */
export interface Span {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Milliseconds between the two. */
  readonly coveredMs: number;
}

/** Samples of all series of a registry, in rings of fixed length that share their times. */
export class SampleHistory {
  readonly #registry: MetricRegistry;
  readonly #clock: Clock;
  readonly #points: number;
  readonly #maxBytes: number;
  readonly #monotonicMs: Float64Array;
  /** By metric, then by the escaped labels, which are one text for one label set. */
  readonly #tracks = new Map<string, Map<string, Track>>();
  #ticks = 0;
  #bytes = 0;
  /** Series that found no room at the last tick. */
  left = 0;

  constructor(registry: MetricRegistry, clock: Clock, limits: HistoryLimits) {
    this.#registry = registry;
    this.#clock = clock;
    this.#points = Math.max(2, Math.ceil(limits.windowMs / limits.everyMs) + 2);
    this.#maxBytes = limits.maxBytes;
    this.#monotonicMs = new Float64Array(this.#points);
  }

  /** Bytes that the samples take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes one sample of every series. */
  sample(): void {
    const tick = this.#ticks++;
    const slot = tick % this.#points;
    this.#monotonicMs[slot] = this.#clock.monotonic();
    this.left = 0;
    const families = this.#registry.families();
    for (const { definition, series } of families) {
      const tracks = this.#tracksOf(definition.name);
      const before = tracks.size;
      let written = 0;
      for (const one of series as ReadonlySet<AnySeries>) {
        const track = tracks.get(one.text) ?? this.#track(tracks, one, definition.type, tick);
        if (track === undefined) {
          this.left++;
          continue;
        }
        if (track.series !== one) continueTrack(track, one, (tick - 1) % this.#points);
        writeFigures(one, track, slot);
        written++;
      }
      if (before > 0 && written < tracks.size) this.#forgetRemoved(tracks);
    }
    for (const name of this.#tracks.keys()) {
      if (families.some(({ definition }) => definition.name === name)) continue;
      this.#forgetRemoved(this.#tracks.get(name) ?? new Map(), true);
      this.#tracks.delete(name);
    }
  }

  /**
   * The figures of a counter or histogram at the edge and at the end of a window, or `undefined` without history.
   * A series that began inside the window was zero before.
   */
  span(metric: string, series: AnySeries, windowMs: number, atMs: number | undefined): Span | undefined {
    const track = this.#tracks.get(metric)?.get(series.text);
    const end = this.#end(atMs);
    if (this.#ticks === 0 || end === undefined) return undefined;
    const after = end.tick === undefined ? this.#living(track, series) : this.#figures(track, end.tick);
    if (after === undefined) return undefined;
    const edgeTick = this.#tickAt(end.monotonicMs - windowMs) ?? this.#oldestTick();
    if (end.tick !== undefined && edgeTick >= end.tick) return undefined;
    const before = this.#figures(track, edgeTick) ?? after.map(() => 0);
    return { before, after, coveredMs: end.monotonicMs - (this.#monotonicMs[edgeTick % this.#points] as number) };
  }

  /** The samples of a gauge inside a window, oldest first; the living value last when the window ends now. */
  values(metric: string, series: AnySeries, windowMs: number, atMs: number | undefined): readonly number[] {
    const track = this.#tracks.get(metric)?.get(series.text);
    const end = this.#end(atMs);
    if (end === undefined) return [];
    const values: number[] = [];
    const newest = end.tick ?? this.#ticks - 1;
    for (let tick = Math.max(this.#oldestTick(), track?.bornTick ?? this.#ticks); tick <= newest; tick++) {
      const taken = this.#monotonicMs[tick % this.#points] as number;
      if (taken > end.monotonicMs - windowMs) values.push(track?.columns[0]?.[tick % this.#points] as number);
    }
    if (end.tick === undefined) values.push(figuresOf(series)[0] as number);
    return values;
  }

  /** Where a window ends: a tick of the past, or now (`tick` undefined). */
  #end(atMs: number | undefined): { monotonicMs: number; tick: number | undefined } | undefined {
    const monotonicNow = this.#clock.monotonic();
    if (atMs === undefined) return { monotonicMs: monotonicNow, tick: undefined };
    const monotonicMs = monotonicNow - (this.#clock.now() - atMs);
    if (monotonicMs >= monotonicNow) return { monotonicMs: monotonicNow, tick: undefined };
    const tick = this.#tickAt(monotonicMs);
    return tick === undefined ? undefined : { monotonicMs: this.#monotonicMs[tick % this.#points] as number, tick };
  }

  #oldestTick(): number {
    return Math.max(0, this.#ticks - this.#points);
  }

  /** The last tick that is not after a moment. */
  #tickAt(monotonicMs: number): number | undefined {
    for (let tick = this.#ticks - 1; tick >= this.#oldestTick(); tick--) {
      if ((this.#monotonicMs[tick % this.#points] as number) <= monotonicMs) return tick;
    }
    return undefined;
  }

  #figures(track: Track | undefined, tick: number): number[] | undefined {
    if (track === undefined || tick < track.bornTick) return undefined;
    return track.columns.map((column) => column[tick % this.#points] as number);
  }

  /** The figures at this moment, with what removed series of the label set had reached. */
  #living(track: Track | undefined, series: AnySeries): number[] {
    const figures = figuresOf(series);
    if (track === undefined) return figures;
    if (track.series !== series) continueTrack(track, series, (this.#ticks - 1) % this.#points);
    return figures.map((value, index) => value + (track.offsets[index] ?? 0));
  }

  #tracksOf(metric: string): Map<string, Track> {
    let tracks = this.#tracks.get(metric);
    if (tracks === undefined) {
      tracks = new Map();
      this.#tracks.set(metric, tracks);
    }
    return tracks;
  }

  #track(tracks: Map<string, Track>, series: AnySeries, type: MetricType, tick: number): Track | undefined {
    const width = figuresOf(series).length;
    const bytes = width * this.#points * 8;
    if (this.#bytes + bytes > this.#maxBytes) return undefined;
    this.#bytes += bytes;
    const columns = Array.from({ length: width }, () => new Float64Array(this.#points));
    const track = { columns, series, offsets: new Array<number>(width).fill(0), type, bornTick: tick };
    tracks.set(series.text, track);
    return track;
  }

  #forgetRemoved(tracks: Map<string, Track>, all = false): void {
    for (const [text, track] of tracks) {
      if (!track.series.removed && !all) continue;
      tracks.delete(text);
      this.#bytes -= track.columns.length * this.#points * 8;
    }
  }
}

/** Goes on with a new series of the same label set. Gauges do not grow, so nothing is carried over for them. */
function continueTrack(track: Track, series: AnySeries, lastSlot: number): void {
  track.series = series;
  if (track.type === 'gauge') return;
  track.columns.forEach((column, index) => {
    track.offsets[index] = column[lastSlot] as number;
  });
}

/** The figures of a series now: its value; or its buckets (not cumulative), sum and count. */
function figuresOf(series: AnySeries): number[] {
  if ('counts' in series) {
    const { counts, sum, count } = series as HistogramSeries;
    return [...counts, sum, count];
  }
  return [(series as unknown as { value: number }).value];
}

function writeFigures(series: AnySeries, { columns, offsets }: Track, slot: number): void {
  if (!('counts' in series)) {
    (columns[0] as Float64Array)[slot] = (series as unknown as { value: number }).value + (offsets[0] as number);
    return;
  }
  const { counts, sum, count } = series as HistogramSeries;
  const buckets = counts.length;
  for (let index = 0; index < buckets; index++) {
    (columns[index] as Float64Array)[slot] = (counts[index] as number) + (offsets[index] as number);
  }
  (columns[buckets] as Float64Array)[slot] = sum + (offsets[buckets] as number);
  (columns[buckets + 1] as Float64Array)[slot] = count + (offsets[buckets + 1] as number);
}
