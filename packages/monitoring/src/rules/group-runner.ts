import { codeOf, withCall } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import type { Clock, MetricSource, SecretResolver, Timer } from '@mnops/core/spi';
import type { ActiveAlert, ResolvedAlert, RuleGroup } from './alert-rule.js';
import { AlertState } from './alert-state.js';
import { parseDuration } from './duration.js';

/** What a group tells its host. */
export interface GroupObserver {
  pending(alert: ActiveAlert): void;
  fired(alert: ActiveAlert): void;
  resolved(alert: ResolvedAlert): void;
  /** A rule could not be evaluated; its alerts keep their state. */
  failed(rule: {
    readonly group: string;
    readonly alert: string;
    readonly code: string;
    readonly error: unknown;
  }): void;
  /** A rule that had failed works again. */
  recovered(rule: { readonly group: string; readonly alert: string }): void;
}

/** What a group works with. */
export interface GroupContext {
  readonly clock: Clock;
  readonly sources: Readonly<Record<string, MetricSource>>;
  readonly secrets: SecretResolver | undefined;
  readonly tickMs: number;
  readonly observer: GroupObserver;
}

/** Evaluates one group of rules on its interval. It never overlaps itself; ticks that were missed are counted. */
export class GroupRunner {
  readonly #group: RuleGroup;
  readonly #context: GroupContext;
  readonly #intervalMs: number;
  readonly #states: readonly AlertState[];
  readonly #failing = new Set<string>();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  evaluations = 0;
  missed = 0;

  constructor(group: RuleGroup, context: GroupContext) {
    this.#group = group;
    this.#context = context;
    this.#intervalMs =
      group.interval === undefined ? context.tickMs : (parseDuration(group.interval) ?? context.tickMs);
    this.#states = group.rules.map((rule) => new AlertState(rule, group.name, context.clock));
  }

  /** Alerts of the group that are pending or firing. */
  active(): readonly ActiveAlert[] {
    return this.#states.flatMap((state) => state.active());
  }

  start(): void {
    this.#schedule(this.#context.clock.monotonic() + this.#intervalMs);
  }

  /** Ends the timer and waits for a running evaluation. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  /** Evaluates every rule once. */
  async evaluate(): Promise<void> {
    this.evaluations++;
    for (const state of this.#states) await this.#evaluateRule(state);
  }

  #schedule(dueAt: number): void {
    if (this.#stopped) return;
    const { clock } = this.#context;
    this.#timer = clock.setTimer(Math.max(0, dueAt - clock.monotonic()), () => {
      this.#running = this.evaluate().finally(() => {
        const now = clock.monotonic();
        const late = Math.max(0, Math.floor((now - dueAt) / this.#intervalMs));
        this.missed += late;
        this.#schedule(dueAt + (late + 1) * this.#intervalMs);
      });
    });
  }

  async #evaluateRule(state: AlertState): Promise<void> {
    const { rule } = state;
    const { sources, secrets, clock, observer } = this.#context;
    const group = this.#group.name;
    try {
      const source = sources[rule.source ?? 'registry'] as MetricSource;
      const timeoutMs = Math.max(1_000, this.#intervalMs);
      const asked = { group, alert: rule.alert, source: source.id };
      const samples = await traced('mnops:monitoring:evaluate', asked, async (context) => {
        const found = await withCall({ timeoutMs, secrets, clock }, (call) => source.query(rule.query, call));
        context['series'] = found.length;
        return found;
      });
      if (this.#failing.delete(rule.alert)) observer.recovered({ group, alert: rule.alert });
      const { pending, fired, resolved } = state.update(samples);
      for (const alert of pending) observer.pending(alert);
      for (const alert of fired) observer.fired(alert);
      for (const alert of resolved) observer.resolved(alert);
    } catch (error) {
      if (this.#failing.has(rule.alert)) return;
      this.#failing.add(rule.alert);
      observer.failed({ group, alert: rule.alert, code: codeOf(error) ?? 'unknown', error });
    }
  }
}
