import { labelText, limitedLabelValue, normalLabelValue, overflowValue } from './label-text.js';
import type { RejectReason, SeriesOwner } from './series.js';
import type { Labels, MetricType, SeriesLimits } from './types.js';

/** What every series has, of whichever kind. */
export interface AnySeries {
  removed: boolean;
  readonly values: readonly string[];
  readonly text: string;
}

/** What a family reports to its registry. */
export interface FamilyObserver {
  rejected(metric: string, reason: RejectReason): void;
  overflowed(metric: string, label: string): void;
  /** Whether the registry has no memory left for further series. */
  full(): boolean;
  reserve(bytes: number): void;
  released(bytes: number): void;
}

/** Declaration of a family after checking. */
export interface FamilyDefinition {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly unit: string | undefined;
  readonly labels: readonly string[];
  readonly limits: Required<{ [P in keyof SeriesLimits]: number }>;
  /** Bounds of a histogram. */
  readonly bounds: Float64Array | undefined;
}

type Level<S> = Map<string, Level<S> | S>;

/**
 * The series of one metric, found by a map per label in declared order.
 *
 * No key text is joined, so two label sets can never meet in one series, whatever characters they hold.
 */
export class Family<S extends AnySeries> implements SeriesOwner<S> {
  readonly definition: FamilyDefinition;
  readonly series: Set<S> = new Set();
  readonly #observer: FamilyObserver;
  readonly #make: (owner: Family<S>, values: readonly string[], text: string) => S;
  readonly #root: Level<S> = new Map();
  /** Distinct values seen per label, up to the limit. */
  readonly #seen: readonly Set<string>[];
  #single: S | undefined;
  /** Whether a series went away since the distinct values were counted. */
  #removedSome = false;

  constructor(
    definition: FamilyDefinition,
    observer: FamilyObserver,
    make: (owner: Family<S>, values: readonly string[], text: string) => S,
  ) {
    this.definition = definition;
    this.#observer = observer;
    this.#make = make;
    this.#seen = definition.labels.map(() => new Set());
    if (definition.labels.length === 0) this.#single = this.revive([]);
  }

  /** The series without any label; the only one of a metric that declares none. */
  unlabelled(): S {
    if (this.#single === undefined || this.#single.removed) {
      this.#single = this.revive(this.definition.labels.map(() => ''));
    }
    return this.#single;
  }

  /** The series of a label set, or `undefined` when it names a label that was not declared. */
  find(labels: Labels<string>): S | undefined {
    const names = this.definition.labels;
    let level: Level<S> | S | undefined = this.#root;
    let found = 0;
    for (let index = 0; index < names.length; index++) {
      const value = labels[names[index] as string];
      if (value !== undefined) found++;
      level = (level as Level<S> | undefined)?.get(typeof value === 'string' ? value : normalLabelValue(value));
    }
    if (given(labels) !== found && this.#unknownLabel(labels)) {
      this.reject('unknown-label');
      return undefined;
    }
    if (level !== undefined && names.length > 0) return level as S;
    return names.length === 0 ? this.unlabelled() : this.revive(names.map((name) => normalLabelValue(labels[name])));
  }

  revive(values: readonly string[]): S {
    let limited = this.#limited(values);
    let living = this.#lookup(limited);
    if (living === undefined && this.#beyondAllLimits(limited)) {
      this.#observer.overflowed(this.definition.name, '*');
      limited = values.map(() => overflowValue);
      living = this.#lookup(limited);
    }
    if (living !== undefined) return living;
    const text = labelText(this.definition.labels, limited);
    this.#observer.reserve(seriesBytes(text, this.definition));
    const series = this.#make(this, limited, text);
    this.#insert(limited, series);
    this.series.add(series);
    return series;
  }

  reject(reason: RejectReason): void {
    this.#observer.rejected(this.definition.name, reason);
  }

  /** Removes one series; false when it does not exist. */
  remove(labels: Labels<string>): boolean {
    const values = this.definition.labels.map((name) => normalLabelValue(labels[name]));
    const series = this.#lookup(values);
    if (series === undefined) return false;
    series.removed = true;
    this.#removedSome = true;
    this.series.delete(series);
    this.#erase(values);
    this.#observer.released(seriesBytes(series.text, this.definition));
    return true;
  }

  #unknownLabel(labels: Labels<string>): boolean {
    const names = this.definition.labels;
    return Object.keys(labels).some((name) => !names.includes(name) && labels[name] !== undefined);
  }

  #lookup(values: readonly string[]): S | undefined {
    if (values.length === 0) return this.#single?.removed === false ? this.#single : undefined;
    let level: Level<S> | S | undefined = this.#root;
    for (const value of values) level = (level as Level<S> | undefined)?.get(value);
    return level as S | undefined;
  }

  #insert(values: readonly string[], series: S): void {
    if (values.length === 0) {
      this.#single = series;
      return;
    }
    let level = this.#root;
    for (const value of values.slice(0, -1)) {
      let next = level.get(value) as Level<S> | undefined;
      if (next === undefined) {
        next = new Map();
        level.set(value, next);
      }
      level = next;
    }
    level.set(values.at(-1) as string, series);
  }

  #erase(values: readonly string[]): void {
    const path: Level<S>[] = [];
    let level: Level<S> | undefined = values.length === 0 ? undefined : this.#root;
    for (const value of values) {
      if (level === undefined) return;
      path.push(level);
      level = level.get(value) as Level<S> | undefined;
    }
    for (let index = path.length - 1; index >= 0; index--) {
      path[index]?.delete(values[index] as string);
      if ((path[index]?.size ?? 0) > 0) return;
    }
  }

  /** The last resort: other labels may multiply the series although the widest one overflows. */
  #beyondAllLimits(values: readonly string[]): boolean {
    if (values.length === 0 || values.every((value) => value === overflowValue)) return false;
    const { seriesPerMetric, valuesPerLabel } = this.definition.limits;
    return this.series.size >= seriesPerMetric + valuesPerLabel || this.#observer.full();
  }

  /** Applies the limits: cuts long values, and replaces the value of a label that has too many. */
  #limited(values: readonly string[]): readonly string[] {
    const { limits, labels, name } = this.definition;
    const full = this.series.size >= limits.seriesPerMetric;
    const widest = full ? this.#widestLabel() : -1;
    return values.map((raw, index) => {
      const value = limitedLabelValue(raw, limits.labelValueBytes);
      const seen = this.#seen[index] as Set<string>;
      if (value === '' || value === overflowValue) return value;
      if (index === widest && this.#lookup(values) === undefined) {
        this.#observer.overflowed(name, labels[index] as string);
        return overflowValue;
      }
      if (seen.has(value)) return value;
      if (seen.size >= limits.valuesPerLabel && this.#removedSome) this.#recount();
      if (seen.size < limits.valuesPerLabel) {
        seen.add(value);
        return value;
      }
      this.#observer.overflowed(name, labels[index] as string);
      return overflowValue;
    });
  }

  #recount(): void {
    this.#removedSome = false;
    for (const seen of this.#seen) seen.clear();
    for (const { values } of this.series) {
      values.forEach((value, index) => {
        if (value !== '' && value !== overflowValue) this.#seen[index]?.add(value);
      });
    }
  }

  #widestLabel(): number {
    let widest = 0;
    this.#seen.forEach((seen, index) => {
      if (seen.size > (this.#seen[widest]?.size ?? 0)) widest = index;
    });
    return widest;
  }
}

function given(labels: Labels<string>): number {
  let count = 0;
  for (const _name in labels) count++;
  return count;
}

/** Estimate of what one series holds in memory: its text twice (map keys and line), the object, the buckets. */
function seriesBytes(text: string, definition: FamilyDefinition): number {
  return 2 * text.length + 160 + 8 * ((definition.bounds?.length ?? -2) + 2);
}
