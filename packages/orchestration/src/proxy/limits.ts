/** Bounds of a proxy. Each request past one is refused at once and counted. */
export interface ProxyLimits {
  /** Requests in flight over all services. Default 10_000; then 503 with `Retry-After`. */
  readonly maxInFlight?: number | undefined;
  /** Requests that wait for an instance, per service. Default 1_000; then 503. */
  readonly maxHeld?: number | undefined;
  /** How long a request waits for an instance while its service is being replaced. Default 30_000; then 503. */
  readonly holdMs?: number | undefined;
  /** Size of a request's or answer's fields, bytes. Default 16_384; then 431 or 502. */
  readonly maxHeaderBytes?: number | undefined;
  /**
   * How long an instance may take until its answer begins. Default 60_000; then 504. A websocket of which one side has ended is
   * closed when nothing came for so long.
   */
  readonly answerTimeoutMs?: number | undefined;
  /** How long a drained instance keeps its websockets. Default 5_000. */
  readonly upgradeDrainMs?: number | undefined;
}

/** All bounds, filled in. */
export type FullProxyLimits = { readonly [K in keyof ProxyLimits]-?: number };

export function fullLimits(limits: ProxyLimits = {}): FullProxyLimits {
  return {
    maxInFlight: limits.maxInFlight ?? 10_000,
    maxHeld: limits.maxHeld ?? 1_000,
    holdMs: limits.holdMs ?? 30_000,
    maxHeaderBytes: limits.maxHeaderBytes ?? 16_384,
    answerTimeoutMs: limits.answerTimeoutMs ?? 60_000,
    upgradeDrainMs: limits.upgradeDrainMs ?? 5_000,
  };
}
