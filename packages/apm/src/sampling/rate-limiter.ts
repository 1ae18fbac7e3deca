/**
 * A token bucket whose kept ones stand for those it refused: each kept one is told how many were offered since the one
 * before, so the sum of what the kept ones stand for is what was offered.
 */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #monotonicMs: () => number;
  readonly #burst: number;
  #tokens: number;
  #lastMs: number;
  /** Weight of those refused since the last one that was kept. */
  #waiting = 0;
  #offered = 0;
  #kept = 0;

  /**
   * @param perSecond - Kept on average; a burst may take what one second allows, and at least one.
   * @param monotonicMs - A clock that never goes back.
   */
  constructor(perSecond: number, monotonicMs: () => number) {
    this.#perSecond = perSecond;
    this.#monotonicMs = monotonicMs;
    this.#burst = Math.max(1, perSecond);
    this.#tokens = this.#burst;
    this.#lastMs = monotonicMs();
  }

  /** Share of what was offered that was kept so far; 1 before the first offer. */
  get effectiveRate(): number {
    return this.#offered === 0 ? 1 : this.#kept / this.#offered;
  }

  /**
   * Offers one.
   *
   * @param weight - How many it stands for by itself.
   * @returns How many it stands for when it is kept, at least `weight`; 0 when it is refused.
   */
  offer(weight = 1): number {
    const nowMs = this.#monotonicMs();
    const passedMs = Math.max(0, nowMs - this.#lastMs);
    this.#lastMs = Math.max(this.#lastMs, nowMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + (passedMs * this.#perSecond) / 1_000);
    this.#offered += 1;
    this.#waiting += weight;
    if (this.#tokens < 1) return 0;
    this.#tokens -= 1;
    this.#kept += 1;
    const stands = this.#waiting;
    this.#waiting = 0;
    return stands;
  }
}
