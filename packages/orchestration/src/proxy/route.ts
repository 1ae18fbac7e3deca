import type { RouteShares } from '@mnops/core/spi';
import { type ProxyTarget, Target, type UpstreamOptions } from './target.js';
import { WeightedPick } from './weighted-pick.js';

interface Group {
  readonly targets: Target[];
  cursor: number;
}

/** Which instance takes the next request of one service. */
export class Route {
  readonly #options: UpstreamOptions;
  readonly #targets: Map<string, Target> = new Map();
  readonly #groups: Map<string, Group> = new Map();
  readonly #pick = new WeightedPick();
  #shares: RouteShares = { by: 'instance', revisions: [] };
  #all: Group = { targets: [], cursor: 0 };

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  get shares(): RouteShares {
    return this.#shares;
  }

  get targets(): Iterable<Target> {
    return this.#targets.values();
  }

  target(instance: string): Target | undefined {
    return this.#targets.get(instance);
  }

  setShares(shares: RouteShares): void {
    this.#shares = shares;
    if (shares.by === 'weight') this.#pick.set(new Map(Object.entries(shares.weights)));
    this.#regroup();
  }

  /** A target of the same name that is being drained goes on until it is idle. */
  add(address: ProxyTarget): void {
    const before = this.#targets.get(address.instance);
    if (before?.draining === false) before.destroy();
    this.#targets.set(address.instance, new Target(address, this.#options));
    this.#regroup();
  }

  /** Picks nothing more from this target. */
  drain(instance: string): Target | undefined {
    const target = this.#targets.get(instance);
    if (target !== undefined) target.draining = true;
    this.#regroup();
    return target;
  }

  remove(instance: string): void {
    this.#targets.get(instance)?.destroy();
    this.#targets.delete(instance);
    this.#regroup();
  }

  /**
   * The instance for one request, or `undefined` when there is none.
   *
   * @param tried - Those that refused this request before.
   * @param tunnel - It asks for a tunnel. Tunnels are spread by their own number too: idle ones are no reason to send plain
   * requests elsewhere.
   */
  next(tried: readonly Target[], tunnel = false): Target | undefined {
    if (this.#shares.by === 'instance') return fromGroup(this.#all, tried, tunnel);
    const revision = this.#pick.next();
    if (revision === undefined) return undefined;
    const target = fromGroup(this.#groups.get(revision), tried, tunnel);
    if (target !== undefined) return target;
    // Better the other version than an error: its weight says that it may be shown.
    for (const other of this.#pick.names) {
      const found = other === revision ? undefined : fromGroup(this.#groups.get(other), tried, tunnel);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Whether any request could be served now. */
  get open(): boolean {
    if (this.#shares.by === 'instance') return this.#all.targets.length > 0;
    return this.#pick.names.some((name) => (this.#groups.get(name)?.targets.length ?? 0) > 0);
  }

  sweep(): void {
    for (const target of this.#targets.values()) target.pool.sweep();
  }

  #regroup(): void {
    const shares = this.#shares;
    const all: Target[] = [];
    const groups = new Map<string, Target[]>();
    for (const target of this.#targets.values()) {
      if (target.draining) continue;
      const { revision } = target.address;
      const group = groups.get(revision) ?? [];
      group.push(target);
      groups.set(revision, group);
      if (shares.by === 'instance' && shares.revisions.includes(revision)) all.push(target);
    }
    this.#all = { targets: all, cursor: this.#all.cursor };
    const cursors = new Map([...this.#groups].map(([revision, group]) => [revision, group.cursor]));
    this.#groups.clear();
    for (const [revision, targets] of groups) {
      this.#groups.set(revision, { targets, cursor: cursors.get(revision) ?? 0 });
    }
  }
}

/** In turn, but past instances that have more to do than the least busy one. */
function fromGroup(group: Group | undefined, tried: readonly Target[], tunnel: boolean): Target | undefined {
  if (group === undefined) return undefined;
  const { targets } = group;
  let best: Target | undefined;
  let least = 0;
  let bestIndex = 0;
  for (let step = 0; step < targets.length; step += 1) {
    const index = (group.cursor + step) % targets.length;
    const target = targets[index]!;
    if (tried.length > 0 && tried.includes(target)) continue;
    const load = tunnel ? target.inFlight : target.requests;
    if (best === undefined || load < least) {
      best = target;
      least = load;
      bestIndex = index;
    }
  }
  if (best !== undefined) group.cursor = bestIndex + 1;
  return best;
}
