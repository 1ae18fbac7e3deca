import { coreError, type MnopsError, toldMessage, withCall } from '@mnops/core';
import type { Call, Span, StorageDamage, TraceExporter } from '@mnops/core/spi';
import type { ResolvedConfig } from '../config.js';
import { unwritable } from '../disk/unwritable.js';
import type { APMEvents } from '../events.js';
import type { ResolvedSpool } from './delivery-config.js';
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

interface Line {
  readonly exporter: TraceExporter;
  readonly dispatcher: Dispatcher;
}

/** Milliseconds that closing an exporter may take. */
const closeTimeoutMs = 5_000;

/** Delivers spans to every exporter; none waits for another. */
export class Deliveries {
  readonly #config: ResolvedConfig;
  readonly #listeners: DeliveryListeners;
  readonly #lines: readonly Line[];
  readonly #opened: TraceExporter[] = [];
  #spooled = false;

  constructor(config: ResolvedConfig, listeners: DeliveryListeners) {
    this.#config = config;
    this.#listeners = listeners;
    const { queue, clock, secrets, random } = config;
    this.#lines = config.exporters.map((exporter) => {
      let away = '';
      const dispatcher = new Dispatcher({
        ...queue,
        exporter,
        clock,
        secrets,
        random,
        quietly: listeners.quietly,
        onRates: listeners.rated,
        onDropped: (reason, count, code, file, cause) =>
          listeners.emit('spans:dropped', {
            exporter: exporter.id,
            reason,
            count,
            ...(code === undefined ? {} : { code }),
            ...(file === undefined ? {} : { file }),
            ...(cause === undefined ? {} : { message: toldMessage(cause), cause }),
          }),
        onDown: (code, cause) => {
          const message = toldMessage(cause);
          away = `The back end of exporter ${exporter.id} does not take spans (${message}); stats() says what is held and what was given up.`;
          listeners.degrade(away);
          listeners.emit('exporter:down', { exporter: exporter.id, code, message, cause });
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
      // A start that failed at a later exporter is tried again.
      if (this.#opened.includes(exporter)) continue;
      await exporter.open?.(call);
      this.#opened.push(exporter);
    }
    const { spool } = this.#config;
    if (spool === undefined || this.#spooled) return;
    this.#spooled = true;
    for (const line of this.#lines) await this.#openSpool(line, spool);
  }

  async #openSpool({ exporter, dispatcher }: Line, options: ResolvedSpool): Promise<void> {
    const { emit, degrade, recover } = this.#listeners;
    const { openSpool } = await import('./open-spool.js');
    let failing = '';
    await openSpool(dispatcher, exporter.id, options, this.#config.clock, {
      onDamaged: (damage: StorageDamage) => {
        degrade(`A part of the spool of exporter ${exporter.id} is damaged; its spans are lost.`);
        emit('storage:damaged', damage);
      },
      onFailed: (error: MnopsError) => {
        const { reason, remedy } = unwritable(error);
        failing = `The spool of exporter ${exporter.id} cannot be written (${reason}); spans are held in memory only. ${remedy}`;
        degrade(failing);
        emit('spool:failed', { exporter: exporter.id, code: error.code, message: error.message, remedy });
      },
      onRecovered: () => {
        recover(failing);
        emit('spool:recovered', { exporter: exporter.id });
      },
    });
  }

  async flush(call: Pick<Call, 'signal'>): Promise<void> {
    await Promise.all(this.#lines.map(({ dispatcher }) => dispatcher.flush(call)));
  }

  /** As `flush`, for a process that ends: what is on disk need not wait for a back end that is away. */
  async flushOrKeep(call: Pick<Call, 'signal'>): Promise<void> {
    await Promise.all(this.#lines.map(({ dispatcher }) => dispatcher.flushOrKeep(call)));
  }

  /** Writes what is held to disk before it returns; without a folder it does nothing. @throws What the first failure was, after all were tried. */
  persistNow(): void {
    const failures: unknown[] = [];
    for (const { dispatcher } of this.#lines) {
      try {
        dispatcher.persistNow();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Leaves what is held to the disk, or gives it up, and closes the exporters that were opened. */
  async close(): Promise<void> {
    const stopped = coreError('MNOPS_CORE_ABORTED', 'The manager was stopped.');
    await Promise.all(this.#lines.map(async ({ dispatcher }) => await dispatcher.close(stopped)));
    const { clock, secrets } = this.#config;
    for (const exporter of this.#opened.splice(0)) {
      const limits = { timeoutMs: closeTimeoutMs, clock, secrets };
      // A back end that cannot be closed must not keep the others open.
      await withCall(limits, async (call) => await exporter.close?.(call)).catch(() => undefined);
    }
  }
}
