import type { KeepReason, SamplingDropReason } from './sampling-stats.js';

/** What was decided about a trace. A kept one stands for `count` traces. */
export type TailDecision =
  | { readonly kept: true; readonly reason: KeepReason; readonly count: number }
  | { readonly kept: false; readonly reason: SamplingDropReason };

/** The newest decisions by trace id, bounded. */
export class DecisionCache {
  readonly #limit: number;
  readonly #decisions = new Map<string, TailDecision>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#decisions.size;
  }

  get(traceId: string): TailDecision | undefined {
    return this.#decisions.get(traceId);
  }

  set(traceId: string, decision: TailDecision): void {
    const known = this.#decisions.delete(traceId);
    if (!known && this.#decisions.size >= this.#limit) this.#dropOldest();
    this.#decisions.set(traceId, decision);
  }

  /** Forgets the oldest eighth at once: taking one at a time would skip over deleted entries each time. */
  #dropOldest(): void {
    let left = Math.ceil(this.#limit / 8);
    for (const traceId of this.#decisions.keys()) {
      if (left === 0) return;
      left -= 1;
      this.#decisions.delete(traceId);
    }
  }
}
