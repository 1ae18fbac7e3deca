import type { Clock, MetricSample } from '@mnops/core/spi';
import type { ActiveAlert, AlertRule, ResolvedAlert } from './alert-rule.js';
import { parseDuration } from './duration.js';
import { compileTemplate, type TemplateValues } from './template.js';

/** What one evaluation changed. */
export interface Transitions {
  readonly pending: readonly ActiveAlert[];
  readonly fired: readonly ActiveAlert[];
  readonly resolved: readonly ResolvedAlert[];
}

interface Instance {
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly activeSince: number;
  readonly activeAtMs: number;
  firedAtMs: number | undefined;
  /** Monotonic moment of the last evaluation that met the condition. */
  lastHeld: number;
  value: number;
}

/** The pending, firing, resolved machine of one rule: one instance for each group of labels in the answer. */
export class AlertState {
  readonly rule: AlertRule;
  readonly #group: string;
  readonly #clock: Clock;
  readonly #forMs: number;
  readonly #keepMs: number;
  readonly #annotations: readonly (readonly [string, (values: TemplateValues) => string])[];
  readonly #instances = new Map<string, Instance>();

  constructor(rule: AlertRule, group: string, clock: Clock) {
    this.rule = rule;
    this.#group = group;
    this.#clock = clock;
    this.#forMs = parseDuration(rule.for ?? '0s') ?? 0;
    this.#keepMs = parseDuration(rule.keepFiringFor ?? '0s') ?? 0;
    this.#annotations = Object.entries(rule.annotations ?? {}).map(([name, text]) => {
      const template = compileTemplate(text);
      return [name, 'render' in template ? template.render : () => text] as const;
    });
  }

  /** Alerts that are pending or firing. */
  active(): readonly ActiveAlert[] {
    return [...this.#instances.values()].map((instance) => this.#alert(instance));
  }

  /** Takes the answer of one evaluation. A group that is missing from it does not meet the condition. */
  update(samples: readonly MetricSample[]): Transitions {
    const now = this.#clock.monotonic();
    const pending: ActiveAlert[] = [];
    const fired: ActiveAlert[] = [];
    const held = new Set<string>();
    for (const { labels: groupLabels, value } of samples) {
      if (!this.#meets(value)) continue;
      const labels = { ...groupLabels, ...this.rule.labels, alertname: this.rule.alert };
      const key = alertKey(this.#group, labels);
      held.add(key);
      let instance = this.#instances.get(key);
      if (instance === undefined) {
        instance = {
          key,
          labels,
          activeSince: now,
          activeAtMs: this.#clock.now(),
          firedAtMs: undefined,
          lastHeld: now,
          value,
        };
        this.#instances.set(key, instance);
        if (this.#forMs > 0) pending.push(this.#alert(instance));
      }
      instance.value = value;
      instance.lastHeld = now;
      if (instance.firedAtMs === undefined && now - instance.activeSince >= this.#forMs) {
        instance.firedAtMs = this.#clock.now();
        fired.push(this.#alert(instance));
      }
    }
    return { pending, fired, resolved: this.#settle(held, now) };
  }

  /** Ends everything that is active, because the rule is gone. */
  clear(): readonly ResolvedAlert[] {
    const now = this.#clock.monotonic();
    for (const instance of this.#instances.values()) instance.lastHeld = Number.NEGATIVE_INFINITY;
    return this.#settle(new Set(), now);
  }

  #settle(held: ReadonlySet<string>, now: number): readonly ResolvedAlert[] {
    const resolved: ResolvedAlert[] = [];
    for (const [key, instance] of this.#instances) {
      if (held.has(key)) continue;
      if (instance.firedAtMs !== undefined && now - instance.lastHeld < this.#keepMs) continue;
      this.#instances.delete(key);
      if (instance.firedAtMs === undefined) continue;
      resolved.push({ ...this.#alert(instance), state: 'resolved', resolvedAt: new Date(this.#clock.now()) });
    }
    return resolved;
  }

  #meets(value: number): boolean {
    const { above, below } = this.rule;
    return (above !== undefined && value > above) || (below !== undefined && value < below);
  }

  #alert(instance: Instance): ActiveAlert {
    const { key, labels, value, activeAtMs, firedAtMs } = instance;
    const annotations = Object.fromEntries(
      this.#annotations.map(([name, render]) => [name, render({ value, labels })]),
    );
    return {
      key,
      alert: this.rule.alert,
      group: this.#group,
      state: firedAtMs === undefined ? 'pending' : 'firing',
      labels,
      annotations,
      value,
      activeAt: new Date(activeAtMs),
      firedAt: firedAtMs === undefined ? undefined : new Date(firedAtMs),
    };
  }
}

/** Identity of an alert: its group and its labels, in an order of their own. */
function alertKey(group: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([group, ...Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1))]);
}
