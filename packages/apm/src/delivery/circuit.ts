/** `closed`: requests pass; `open`: none is made; `half-open`: one is made to find out. */
export type CircuitState = 'closed' | 'open' | 'half-open';

/** Failures in a row that open the circuit. */
const opensAfter = 5;
const firstDelayMs = 500;
const firstOpenMs = 5_000;
const longestOpenMs = 30_000;
/** Longest wait that a back end may ask for. */
const longestAskedMs = 300_000;

/**
 * When a back end that fails is asked again. The first failures are followed by exponential delays with full jitter
 * (uniform between 0 and 0.5, 1, 2, 4, 8 s); then the circuit is open, and one probe at a time finds out: after half to
 * the whole of 5, 10, 20, 30, 30 … s. Where the back end asked for a longer wait, it is that, up to 5 minutes.
 */
export class Circuit {
  readonly #random: () => number;
  #failures = 0;
  #state: CircuitState = 'closed';

  constructor(random: () => number) {
    this.#random = random;
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** The back end answered. */
  succeeded(): void {
    this.#failures = 0;
    this.#state = 'closed';
  }

  /**
   * A request failed in a way that is tried again.
   *
   * @returns Milliseconds until the next request.
   */
  failed(askedMs: number | undefined): number {
    this.#failures += 1;
    return Math.min(longestAskedMs, Math.max(askedMs ?? 0, this.#delay()));
  }

  /** The wait is over. */
  probe(): void {
    if (this.#state === 'open') this.#state = 'half-open';
  }

  #delay(): number {
    if (this.#failures <= opensAfter) return this.#random() * firstDelayMs * 2 ** (this.#failures - 1);
    this.#state = 'open';
    const bound = Math.min(longestOpenMs, firstOpenMs * 2 ** (this.#failures - opensAfter - 1));
    return bound / 2 + (this.#random() * bound) / 2;
  }
}
