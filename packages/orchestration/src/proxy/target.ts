import type { Clock } from '@mnops/core/spi';
import type { Series } from './figures.js';
import type { Tunnel } from './upgrade.js';
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
  /** Requests and open tunnels that run on this target. */
  inFlight = 0;
  draining = false;
  /** Open tunnels (upgraded connections). */
  readonly #tunnels: Set<Tunnel> = new Set();
  #idleWaiters: (() => void)[] = [];
  #tunnelWaiters: (() => void)[] = [];

  constructor(address: ProxyTarget, options: UpstreamOptions) {
    this.address = address;
    this.pool = new UpstreamPool({ host: address.host ?? '127.0.0.1', port: address.port, ...options });
  }

  /** Requests whose answer is not whole. */
  get requests(): number {
    return this.inFlight - this.#tunnels.size;
  }

  /** A request that ran on this target is over. */
  done(): void {
    this.inFlight -= 1;
    this.#settle();
  }

  /** A request that ran on this target has become a tunnel. */
  opened(tunnel: Tunnel): void {
    this.#tunnels.add(tunnel);
    this.#settle();
  }

  /** A tunnel is over. */
  ended(tunnel: Tunnel): void {
    this.#tunnels.delete(tunnel);
    this.done();
  }

  /** Resolves once no request is in flight; tunnels may be. */
  idle(): Promise<void> {
    if (this.requests === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Resolves once no tunnel is open. */
  tunnelsGone(): Promise<void> {
    if (this.#tunnels.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#tunnelWaiters.push(resolve));
  }

  /** Ends every tunnel. */
  endTunnels(): void {
    for (const tunnel of [...this.#tunnels]) tunnel.end();
  }

  #settle(): void {
    if (this.requests === 0) for (const waiter of this.#idleWaiters.splice(0)) waiter();
    if (this.#tunnels.size === 0) for (const waiter of this.#tunnelWaiters.splice(0)) waiter();
  }

  /** Ends every connection; what is in flight fails. */
  destroy(): void {
    this.endTunnels();
    this.pool.destroy();
  }
}
