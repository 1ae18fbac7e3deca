import { coreError, withCall } from '@mnops/core';
import type { Call, Span, TraceExporter } from '@mnops/core/spi';
import type { ResolvedConfig } from '../config.js';
import type { APMEvents } from '../events.js';
import type { DeliveryReport } from './delivery-report.js';
import { Dispatcher } from './dispatcher.js';

/** What delivery tells its host. */
export interface DeliveryListeners {
  readonly emit: <E extends keyof APMEvents & string>(event: E, value: APMEvents[E]) => void;
  readonly degrade: (reason: string) => void;
  readonly recover: (reason: string) => void;
  readonly quietly: <T>(run: () => T) => T;
  readonly rated: (rates: ReadonlyMap<string, number>) => void;
}

/** Milliseconds that closing an exporter may take. */
const closeTimeoutMs = 5_000;

/** Delivers spans to every exporter; none waits for another. */
export class Deliveries {
  readonly #config: ResolvedConfig;
  readonly #lines: readonly { readonly exporter: TraceExporter; readonly dispatcher: Dispatcher }[];
  readonly #opened: TraceExporter[] = [];

  constructor(config: ResolvedConfig, listeners: DeliveryListeners) {
    this.#config = config;
    const { queue, clock, secrets, random } = config;
    this.#lines = config.exporters.map((exporter) => {
      const away = `The back end of exporter ${exporter.id} does not take spans; they are held.`;
      const dispatcher = new Dispatcher({
        ...queue,
        exporter,
        clock,
        secrets,
        random,
        quietly: listeners.quietly,
        onRates: listeners.rated,
        onDropped: (reason, count, code) =>
          listeners.emit('spans:dropped', {
            exporter: exporter.id,
            reason,
            count,
            ...(code === undefined ? {} : { code }),
          }),
        onDown: (error) => {
          listeners.degrade(away);
          listeners.emit('exporter:down', { exporter: exporter.id, code: error.code });
        },
        onUp: () => {
          listeners.recover(away);
          listeners.emit('exporter:up', { exporter: exporter.id });
        },
      });
      return { exporter, dispatcher };
    });
  }

  /** Whether there is any exporter. */
  get any(): boolean {
    return this.#lines.length > 0;
  }

  get report(): DeliveryReport {
    return {
      exporters: Object.fromEntries(this.#lines.map(({ exporter, dispatcher }) => [exporter.id, dispatcher.stats])),
    };
  }

  get held(): number {
    return this.#lines.reduce((sum, { dispatcher }) => sum + dispatcher.stats.held, 0);
  }

  add(span: Span): void {
    for (const { dispatcher } of this.#lines) dispatcher.add(span);
  }

  async open(call: Call): Promise<void> {
    for (const { exporter } of this.#lines) {
      await exporter.open?.(call);
      this.#opened.push(exporter);
    }
  }

  async flush(call: Pick<Call, 'signal'>): Promise<void> {
    await Promise.all(this.#lines.map(({ dispatcher }) => dispatcher.flush(call)));
  }

  /** Gives up what is held and closes the exporters that were opened. */
  async close(): Promise<void> {
    const stopped = coreError('MNOPS_CORE_ABORTED', 'The manager was stopped.');
    for (const { dispatcher } of this.#lines) dispatcher.close(stopped);
    const { clock, secrets } = this.#config;
    for (const exporter of this.#opened.splice(0)) {
      const limits = { timeoutMs: closeTimeoutMs, clock, secrets };
      // A back end that cannot be closed must not keep the others open.
      await withCall(limits, async (call) => await exporter.close?.(call)).catch(() => undefined);
    }
  }
}
