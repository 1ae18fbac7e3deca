import type { AnomalySignal } from '../anomaly.js';
import type { Operation } from '../operation.js';
import type { OperationStats } from '../operation-stats.js';

/** Steps of one block: the unit in which memory is taken and given back. */
const blockSteps = 288;
/** Bytes of one block, with what surrounds its numbers. */
const blockBytes = blockSteps * 16 + 400;

/** Limits of the history. */
export interface LoadHistoryOptions {
  readonly bucketMs: number;
  /** Rounded up to whole buckets. */
  readonly stepMs: number;
  /** Steps remembered of one operation. */
  readonly maxSteps: number;
  readonly maxBytes: number;
}

/** Sums of consecutive steps. */
class Block {
  /** Number of the block: its first step divided by the steps of a block. */
  readonly index: number;
  readonly covered = new Float32Array(blockSteps);
  readonly calls = new Float32Array(blockSteps);
  readonly errors = new Float32Array(blockSteps);
  readonly durationMs = new Float32Array(blockSteps);

  constructor(index: number) {
    this.index = index;
  }
}

/** A signal of one operation at even steps. */
export interface LoadSeries {
  readonly stepMs: number;
  /** Epoch milliseconds at which the step after the last value begins. */
  readonly endMs: number;
  /** Oldest first; `NaN` where nothing is known: the program was not running, or there was no call to time. */
  readonly values: readonly number[];
}

/** Calls, failures and time of every operation by step, for some weeks; bounded. */
export class LoadHistory {
  readonly #bucketMs: number;
  readonly #stepMs: number;
  readonly #maxBlocks: number;
  readonly #maxBlocksOfAll: number;
  readonly #blocks = new Map<Operation, Block[]>();
  #count = 0;

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

  /** Takes one complete bucket in. */
  add(operation: Operation, startMs: number, stats: OperationStats): void {
    const step = Math.floor(startMs / this.#stepMs);
    const block = this.#blockOf(operation, Math.floor(step / blockSteps));
    const place = step - block.index * blockSteps;
    const increase = (list: Float32Array, by: number): void => {
      list[place] = (list[place] as number) + by;
    };
    increase(block.covered, 1);
    increase(block.calls, stats.count);
    increase(block.errors, stats.errors);
    increase(block.durationMs, stats.count * stats.moments.mean);
  }

  /**
   * What an operation did, from the first step known to the last complete one.
   *
   * @param nowMs - Epoch milliseconds up to which buckets have been taken in.
   */
  series(operation: Operation, signal: AnomalySignal, nowMs: number): LoadSeries | undefined {
    const blocks = this.#blocks.get(operation);
    const first = blocks?.[0];
    if (blocks === undefined || first === undefined) return undefined;
    const end = Math.floor(nowMs / this.#stepMs);
    const values: number[] = [];
    let next = 0;
    for (let step = first.index * blockSteps; step < end; step += 1) {
      while (next + 1 < blocks.length && (blocks[next + 1] as Block).index * blockSteps <= step) next += 1;
      const value = this.#valueOf(blocks[next] as Block, step, signal);
      if (values.length > 0 || !Number.isNaN(value)) values.push(value);
    }
    return values.length === 0 ? undefined : { stepMs: this.#stepMs, endMs: end * this.#stepMs, values };
  }

  #valueOf(block: Block, step: number, signal: AnomalySignal): number {
    const place = step - block.index * blockSteps;
    const covered = block.covered[place];
    if (covered === undefined || covered === 0) return Number.NaN;
    const calls = block.calls[place] as number;
    if (signal === 'throughput') return (calls * 1_000) / (covered * this.#bucketMs);
    return calls === 0
      ? Number.NaN
      : ((signal === 'errors' ? block.errors : block.durationMs)[place] as number) / calls;
  }

  #blockOf(operation: Operation, index: number): Block {
    const blocks = this.#blocks.get(operation) ?? [];
    if (blocks.length === 0) this.#blocks.set(operation, blocks);
    // Buckets come in order; a clock that was set back goes on in the newest block.
    const last = blocks.at(-1);
    if (last !== undefined && last.index >= index) return blocks.findLast((block) => block.index <= index) ?? last;
    const block = new Block(index);
    blocks.push(block);
    this.#count += 1;
    while (blocks.length > 1 && index - (blocks[0] as Block).index >= this.#maxBlocks) {
      blocks.shift();
      this.#count -= 1;
    }
    while (this.#count > this.#maxBlocksOfAll) this.#dropOldest();
    return block;
  }

  #dropOldest(): void {
    let oldest: Block[] | undefined;
    for (const blocks of this.#blocks.values()) {
      if (blocks.length > 0 && (oldest === undefined || (blocks[0] as Block).index < (oldest[0] as Block).index)) {
        oldest = blocks;
      }
    }
    oldest?.shift();
    this.#count -= 1;
  }
}
