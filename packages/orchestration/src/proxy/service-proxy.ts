import { coreError, systemClock } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import type { Clock, MetricSource, RouteCounts, RouteShares, ServiceAddress, Timer } from '@mnops/core/spi';
import { Figures } from './figures.js';
import { type FullProxyLimits, fullLimits, type ProxyLimits } from './limits.js';
import { proxyMetricSource } from './metric-source.js';
import { ServiceListener } from './service-listener.js';
import type { ProxyTarget } from './target.js';

/** What a proxy is made with. */
export interface ServiceProxyOptions {
  readonly limits?: ProxyLimits | undefined;
  readonly clock?: Clock | undefined;
}

const sweepMs = 1_000;

/**
 * A reverse proxy with one listener per service: exact weights between revisions, drain without a dropped request, hold while
 * nothing can answer, and the figures of all of it as a metric source.
 */
export class ServiceProxy {
  /** Request figures per service, revision and instance. */
  readonly metricSource: MetricSource;
  readonly #clock: Clock;
  readonly #limits: FullProxyLimits;
  readonly #figures: Figures;
  readonly #listeners: Map<string, { readonly listener: ServiceListener; readonly host: string }> = new Map();
  readonly #shared = { inFlight: 0 };
  #sweeper: Timer | undefined;

  constructor(options: ServiceProxyOptions = {}) {
    this.#clock = options.clock ?? systemClock();
    this.#limits = fullLimits(options.limits);
    this.#figures = new Figures(this.#clock);
    this.metricSource = proxyMetricSource(this.#figures);
  }

  /**
   * The service has its address; requests to it are held or refused until there is a target.
   *
   * @param options - `port`: default a free one. `host`: default `127.0.0.1`.
   * @throws {MnopsError} `MNOPS_ORCHESTRATION_PORT_UNAVAILABLE`.
   */
  async open(
    service: string,
    options: { readonly port?: number; readonly host?: string } = {},
  ): Promise<ServiceAddress> {
    const known = this.address(service);
    if (known !== undefined) return known;
    const { port = 0, host = '127.0.0.1' } = options;
    const listener = new ServiceListener({
      service,
      figures: this.#figures,
      clock: this.#clock,
      limits: this.#limits,
      shared: this.#shared,
    });
    await listener.listen(port, host);
    this.#listeners.set(service, { listener, host });
    if (this.#sweeper === undefined) this.#sweep();
    return this.address(service)!;
  }

  /** Where a service can be reached, or `undefined` when it has no listener. */
  address(service: string): ServiceAddress | undefined {
    const found = this.#listeners.get(service);
    if (found === undefined) return undefined;
    const { port } = found.listener;
    return { host: found.host, port, url: `http://${found.host}:${port}` };
  }

  /** Shares requests out from the next one on. */
  setShares(service: string, shares: RouteShares): void {
    const listener = this.#listener(service);
    listener.route.setShares(shares);
    listener.releaseHeld();
  }

  /** How requests are shared out. */
  shares(service: string): RouteShares {
    return this.#listener(service).route.shares;
  }

  /** Whether requests wait, instead of being refused, while there is no target. */
  setHold(service: string, hold: boolean): void {
    const listener = this.#listener(service);
    listener.holding = hold;
    listener.releaseHeld();
  }

  /** The instance takes requests from now on. */
  addTarget(service: string, target: ProxyTarget): void {
    const listener = this.#listener(service);
    listener.route.add(target);
    listener.releaseHeld();
  }

  hasTarget(service: string, instance: string): boolean {
    const target = this.#listeners.get(service)?.listener.route.target(instance);
    return target !== undefined && !target.draining;
  }

  /**
   * The instance takes nothing new, what ran on it is answered, and its connections are closed.
   *
   * @param drainMs - After so long the rest is cut off. Websockets are ended after `upgradeDrainMs` instead.
   * @returns Requests that were cut off.
   */
  async drainTarget(service: string, instance: string, drainMs: number): Promise<number> {
    const listener = this.#listeners.get(service)?.listener;
    const target = listener?.route.drain(instance);
    if (listener === undefined || target === undefined) return 0;
    return await traced('mnops:orchestration:drain', { service, instance }, async (context) => {
      await Promise.all([
        this.#within(drainMs, target.idle()),
        this.#within(this.#limits.upgradeDrainMs, target.tunnelsGone()).then(() => target.endTunnels()),
      ]);
      const cut = target.requests;
      context['cut'] = cut;
      if (listener.route.target(instance) === target) listener.route.remove(instance);
      else target.destroy();
      return cut;
    });
  }

  /** The instance is gone; what ran on it fails. */
  removeTarget(service: string, instance: string): void {
    this.#listeners.get(service)?.listener.route.remove(instance);
  }

  stats(service: string): RouteCounts {
    const { listener } = this.#listeners.get(service) ?? {};
    const { answered, failed, aborted, held } = listener?.counts ?? { answered: 0, failed: 0, aborted: 0, held: 0 };
    return { inFlight: listener?.inFlight ?? 0, holding: listener?.held ?? 0, answered, failed, aborted, held };
  }

  /** Closes a service's listener; what runs has `graceMs`. */
  async close(service: string, graceMs: number): Promise<void> {
    const found = this.#listeners.get(service);
    this.#listeners.delete(service);
    await found?.listener.close(graceMs);
  }

  /** Closes every listener. */
  async stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    const { graceMs = 5_000 } = options;
    await Promise.all([...this.#listeners.keys()].map((service) => this.close(service, graceMs)));
    this.#sweeper?.cancel();
    this.#sweeper = undefined;
  }

  #listener(service: string): ServiceListener {
    const found = this.#listeners.get(service);
    if (found !== undefined) return found.listener;
    throw coreError('MNOPS_CORE_NOT_FOUND', `The proxy has no listener for service ${service}.`, {
      remedy: 'Open the service first.',
    });
  }

  #sweep(): void {
    this.#sweeper = this.#clock.setTimer(sweepMs, () => {
      for (const { listener } of this.#listeners.values()) listener.sweep();
      this.#figures.sweep();
      this.#sweep();
    });
  }

  async #within(graceMs: number, over: Promise<void>): Promise<void> {
    const grace = new AbortController();
    const late = this.#clock.sleep(graceMs, grace.signal).catch(() => undefined);
    await Promise.race([over, late]);
    grace.abort();
  }
}
