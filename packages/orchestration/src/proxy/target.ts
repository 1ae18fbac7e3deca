import type { Clock } from '@mnops/core/spi';
import type { Series } from './figures.js';
import { UpstreamPool } from './upstream-pool.js';

/** Where requests can go: one instance of one revision. */
export interface ProxyTarget {
  /** Unique name of the instance. */
  readonly instance: string;
  readonly revision: string;
  readonly version?: string | undefined;
  /** Default `127.0.0.1`. */
  readonly host?: string | undefined;
  readonly port: number;
}

/** What the connections of all targets of a service have in common. */
export interface UpstreamOptions {
  readonly clock: Clock;
  readonly maxHeadBytes: number;
  readonly readBuffer: Buffer;
}

/** A target with its connections and what runs on it. */
export class Target {
  readonly address: ProxyTarget;
  readonly pool: UpstreamPool;
  /** Series of figures by method and status class; filled on first use. */
  readonly series: Map<string, Series> = new Map();
  /** Ends of tunnels (upgraded connections) that run over this target. */
  readonly tunnels: Set<() => void> = new Set();
  inFlight = 0;
  draining = false;
  #idleWaiters: (() => void)[] = [];

  constructor(address: ProxyTarget, options: UpstreamOptions) {
    this.address = address;
    this.pool = new UpstreamPool({ host: address.host ?? '127.0.0.1', port: address.port, ...options });
  }

  /** A request that ran on this target is over. */
  done(): void {
    this.inFlight -= 1;
    if (this.inFlight > 0) return;
    for (const waiter of this.#idleWaiters.splice(0)) waiter();
  }

  /** Resolves once nothing is in flight. */
  idle(): Promise<void> {
    if (this.inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Ends every connection; what is in flight fails. */
  destroy(): void {
    for (const end of this.tunnels) end();
    this.tunnels.clear();
    this.pool.destroy();
  }
}
