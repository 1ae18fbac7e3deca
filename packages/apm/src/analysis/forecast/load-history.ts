import type { AnomalySignal } from '../anomaly.js';
import type { Operation } from '../operation.js';
import type { OperationStats } from '../operation-stats.js';

/** Steps of one block: the unit in which memory is taken and given back. */
const blockSteps = 288;
/** Bytes of one block, with what surrounds its numbers. */
const blockBytes = blockSteps * 16 + 400;
/** Steps by which what another process wrote may be behind while it is alive. */
const maxBehind = 2;

/** Limits of the history. */
export interface LoadHistoryOptions {
  readonly bucketMs: number;
  /** Rounded up to whole buckets. */
  readonly stepMs: number;
  /** Steps remembered of one operation. */
  readonly maxSteps: number;
  readonly maxBytes: number;
}

/** Sums of consecutive steps, one place for each. */
export interface LoadSums {
  /** Buckets behind the sums; where it is 0, nothing is known. */
  readonly covered: Float32Array;
  readonly calls: Float32Array;
  readonly errors: Float32Array;
  readonly durationMs: Float32Array;
}

/** Which operation something is about. */
export type LoadedOperation = Pick<Operation, 'service' | 'name' | 'kind'>;

/** Some consecutive steps of one operation. */
export interface LoadRun extends LoadSums {
  /** Number of the first step: steps since the epoch. */
  readonly firstStep: number;
}

/** What one process knows of the load of its operations. */
export interface ProcessLoad {
  readonly stepMs: number;
  readonly bucketMs: number;
  /** Epoch milliseconds at which the newest step begins: those before are complete. */
  readonly untilMs: number;
  readonly operations: readonly { readonly operation: LoadedOperation; readonly runs: readonly LoadRun[] }[];
}

interface Block extends LoadSums {
  /** Number of the block: its first step divided by the steps of a block. */
  readonly index: number;
}

interface Track {
  readonly operation: LoadedOperation;
  /** In the order of their numbers. */
  readonly blocks: Block[];
}

interface Source {
  untilMs: number;
  readonly tracks: Map<string, Track>;
}

/** A signal of one operation at even steps. */
export interface LoadSeries {
  readonly stepMs: number;
  /** Epoch milliseconds at which the step after the last value begins. */
  readonly endMs: number;
  /** Oldest first; `NaN` where nothing is known: the program was not running, or there was no call to time. */
  readonly values: readonly number[];
}

const signals = ['covered', 'calls', 'errors', 'durationMs'] as const;

function sumsOf(steps: number): LoadSums {
  const list = (): Float32Array => new Float32Array(steps);
  return { covered: list(), calls: list(), errors: list(), durationMs: list() };
}

/** Calls, failures and time of every operation by step, for some weeks, here and in other processes; bounded. */
export class LoadHistory {
  readonly #bucketMs: number;
  readonly #stepMs: number;
  readonly #maxBlocks: number;
  readonly #maxBlocksOfAll: number;
  readonly #own: Source = { untilMs: 0, tracks: new Map() };
  readonly #others = new Map<string, Source>();
  #newestStep: number | undefined;
  #count = 0;
  #added = 0;
  #completed = 0;

  constructor(options: LoadHistoryOptions) {
    this.#bucketMs = options.bucketMs;
    this.#stepMs = Math.ceil(options.stepMs / options.bucketMs) * options.bucketMs;
    this.#maxBlocks = Math.ceil(options.maxSteps / blockSteps) + 1;
    this.#maxBlocksOfAll = Math.max(1, Math.floor(options.maxBytes / blockBytes));
  }

  /** Estimated bytes in use. */
  get bytes(): number {
    return this.#count * blockBytes;
  }

  /** How far back something is remembered, in milliseconds. */
  get reachMs(): number {
    return this.#maxBlocks * blockSteps * this.#stepMs;
  }

  /** Buckets taken in so far, and the steps that were complete with them. */
  get progress(): { readonly added: number; readonly completed: number } {
    return { added: this.#added, completed: this.#completed };
  }

  /** Takes one complete bucket in. */
  add(operation: LoadedOperation, startMs: number, stats: OperationStats): void {
    const step = Math.floor(startMs / this.#stepMs);
    this.#added += 1;
    const newest = this.#newestStep;
    // One step back is an operation whose buckets come later; more is a clock that was set back.
    if (newest === undefined || step > newest || step < newest - 1) {
      if (newest !== undefined) this.#completed += 1;
      this.#newestStep = step;
      this.#own.untilMs = step * this.#stepMs;
    }
    const index = this.#indexOf(step);
    const sums = [1, stats.count, stats.errors, stats.count * stats.moments.mean];
    sumUp(this.#blockOf(this.#own, operation, index, index), step, sums);
  }

  /** What this process knows; the numbers go on with it, so use it before anything else happens. */
  own(): ProcessLoad {
    const { untilMs, tracks } = this.#own;
    const operations = [...tracks.values()].map(({ operation, blocks }) => ({
      operation,
      runs: blocks.flatMap(runOf),
    }));
    return { stepMs: this.#stepMs, bucketMs: this.#bucketMs, untilMs, operations };
  }

  /** This process goes on where another one ended: what that one knew is its own. */
  restore(load: ProcessLoad, nowMs: number): void {
    this.#take(this.#own, load, nowMs);
  }

  /** Counts another process in; what it told before is replaced. Steps that do not fit into those here are left out. */
  include(id: string, load: ProcessLoad, nowMs: number): void {
    this.exclude(id);
    const source: Source = { untilMs: load.untilMs, tracks: new Map() };
    this.#others.set(id, source);
    this.#take(source, load, nowMs);
  }

  /** Forgets another process. */
  exclude(id: string): void {
    for (const { blocks } of this.#others.get(id)?.tracks.values() ?? []) this.#count -= blocks.length;
    this.#others.delete(id);
  }

  /** Every operation of which something is known, once for each process. */
  *operations(): Iterable<LoadedOperation> {
    for (const { tracks } of [this.#own, ...this.#others.values()]) {
      for (const { operation } of tracks.values()) yield operation;
    }
  }

  /**
   * What an operation did in all processes together, from the first step known to the last complete one. It ends a step or
   * two earlier while another process has not written the newest ones yet: without its part they would look like a drop.
   *
   * @param nowMs - Epoch milliseconds up to which buckets have been taken in.
   */
  series(operation: LoadedOperation, signal: AnomalySignal, nowMs: number): LoadSeries | undefined {
    const key = keyOf(operation);
    let end = Math.floor(nowMs / this.#stepMs);
    const now = end;
    const blocks = [...(this.#own.tracks.get(key)?.blocks ?? [])];
    for (const { untilMs, tracks } of this.#others.values()) {
      const track = tracks.get(key);
      if (track === undefined) continue;
      blocks.push(...track.blocks);
      const until = Math.floor(untilMs / this.#stepMs);
      if (until >= now - maxBehind) end = Math.min(end, until);
    }
    const indexes = blocks.map(({ index }) => index).filter((index) => index * blockSteps < end);
    if (indexes.length === 0) return undefined;
    const known = indexes.reduce((least, index) => Math.min(least, index), Number.POSITIVE_INFINITY);
    const first = Math.max(known * blockSteps, end - this.#maxBlocks * blockSteps);
    const sums = this.#together(blocks, first, end);
    const values = Array.from(sums.covered, (_, place) => this.#valueOf(sums, place, signal));
    const begin = values.findIndex((value) => !Number.isNaN(value));
    if (begin < 0) return undefined;
    return { stepMs: this.#stepMs, endMs: end * this.#stepMs, values: values.slice(begin) };
  }

  /** Sums of blocks by step; blocks of one step are of different processes. */
  #together(blocks: readonly Block[], first: number, end: number): LoadSums {
    const sums = sumsOf(end - first);
    const wholeStep = this.#stepMs / this.#bucketMs;
    for (const block of blocks) {
      for (let place = 0; place < blockSteps; place += 1) {
        const covered = block.covered[place] as number;
        const at = block.index * blockSteps + place - first;
        if (covered === 0 || at < 0 || at >= end - first) continue;
        // A time that a clock showed twice counts once.
        const share = Math.min(1, wholeStep / covered);
        // Processes side by side have more calls in the same time, not more time.
        sums.covered[at] = Math.max(sums.covered[at] as number, share * covered);
        for (const name of ['calls', 'errors', 'durationMs'] as const) {
          increase(sums[name], at, share * (block[name][place] as number));
        }
      }
    }
    return sums;
  }

  #valueOf(sums: LoadSums, place: number, signal: AnomalySignal): number {
    const covered = sums.covered[place] as number;
    if (covered === 0) return Number.NaN;
    const calls = sums.calls[place] as number;
    if (signal === 'throughput') return (calls * 1_000) / (covered * this.#bucketMs);
    return calls === 0 ? Number.NaN : ((signal === 'errors' ? sums.errors : sums.durationMs)[place] as number) / calls;
  }

  #take(source: Source, load: ProcessLoad, nowMs: number): void {
    // Shorter steps are put together; of longer ones nobody knows how they were divided.
    if (this.#stepMs % load.stepMs !== 0) return;
    const buckets = load.bucketMs / this.#bucketMs;
    const nowIndex = this.#indexOf(Math.floor(nowMs / this.#stepMs));
    for (const { operation, runs } of load.operations) {
      let block: Block | undefined;
      for (const { firstStep, covered, calls, errors, durationMs } of runs) {
        // A full history is a million steps: nothing is made for each of them.
        for (let place = 0; place < covered.length; place += 1) {
          const known = covered[place] as number;
          if (known === 0) continue;
          const step = Math.floor(((firstStep + place) * load.stepMs) / this.#stepMs);
          const index = this.#indexOf(step);
          if (block?.index !== index) block = this.#blockOf(source, operation, index, nowIndex);
          const at = step - index * blockSteps;
          increase(block.covered, at, known * buckets);
          increase(block.calls, at, calls[place] as number);
          increase(block.errors, at, errors[place] as number);
          increase(block.durationMs, at, durationMs[place] as number);
        }
      }
    }
  }

  #indexOf(step: number): number {
    return Math.floor(step / blockSteps);
  }

  /** The block with a number. One that is too far from now for the limits is not kept. */
  #blockOf({ tracks }: Source, operation: LoadedOperation, index: number, nowIndex: number): Block {
    const key = keyOf(operation);
    const { service, name, kind } = operation;
    const track = tracks.get(key) ?? { operation: { service, name, kind }, blocks: [] };
    const { blocks } = track;
    tracks.set(key, track);
    // Mostly the newest; an earlier one when a clock was set back.
    const before = blocks.findLastIndex((block) => block.index <= index);
    const found = blocks[before];
    if (found?.index === index) return found;
    const block = { index, ...sumsOf(blockSteps) };
    blocks.splice(before + 1, 0, block);
    this.#count += 1;
    if (blocks.length > this.#maxBlocks) this.#dropFarthest(blocks, nowIndex);
    while (this.#count > this.#maxBlocksOfAll) this.#dropFarthestOfAll(nowIndex, block);
    return block;
  }

  /** Drops what is farthest from now: the oldest, or what came while a clock was ahead. */
  #dropFarthest(blocks: Block[], index: number): void {
    const [first, last] = [blocks[0], blocks.at(-1)];
    if (first === undefined || last === undefined) return;
    if (index - first.index >= last.index - index) blocks.shift();
    else blocks.pop();
    this.#count -= 1;
  }

  #dropFarthestOfAll(index: number, but: Block): void {
    let farthest: { readonly tracks: Map<string, Track>; readonly key: string; readonly blocks: Block[] } | undefined;
    let distance = -1;
    for (const { tracks } of [this.#own, ...this.#others.values()]) {
      for (const [key, { blocks }] of tracks) {
        // Of blocks that are equally far, it is not the one that is about to be filled.
        if (blocks.length === 1 && blocks[0] === but && but.index === index) continue;
        const far = Math.max(index - (blocks[0]?.index ?? index), (blocks.at(-1)?.index ?? index) - index);
        if (far <= distance) continue;
        distance = far;
        farthest = { tracks, key, blocks };
      }
    }
    if (farthest === undefined) return;
    this.#dropFarthest(farthest.blocks, index);
    if (farthest.blocks.length === 0) farthest.tracks.delete(farthest.key);
  }
}

function sumUp(block: Block, step: number, numbers: readonly number[]): void {
  const place = step - block.index * blockSteps;
  signals.forEach((name, index) => {
    increase(block[name], place, numbers[index] as number);
  });
}

function increase(list: Float32Array, place: number, by: number): void {
  list[place] = (list[place] as number) + by;
}

function keyOf({ service, name, kind }: LoadedOperation): string {
  return JSON.stringify([service, name, kind]);
}

/** A block without the places before and after what is known. */
function runOf({ index, covered, calls, errors, durationMs }: Block): LoadRun[] {
  const first = covered.findIndex((known) => known > 0);
  if (first < 0) return [];
  const cut = (list: Float32Array): Float32Array =>
    list.subarray(first, covered.findLastIndex((known) => known > 0) + 1);
  const sums = { covered: cut(covered), calls: cut(calls), errors: cut(errors), durationMs: cut(durationMs) };
  return [{ firstStep: index * blockSteps + first, ...sums }];
}
