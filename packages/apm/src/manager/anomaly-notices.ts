import { withCall } from '@mnops/core';
import type { Clock, Notification, Notifier, SecretResolver } from '@mnops/core/spi';
import type { PerformanceAnomaly } from '../analysis/anomaly.js';
import { sentenceOf } from '../seams/health-source.js';

/** Notifications about anomalies that were sent and that could not be. */
export interface NoticeStats {
  readonly sent: number;
  readonly failed: number;
  /** Given up because too many were on their way already. */
  readonly dropped: number;
}

const sendTimeoutMs = 10_000;
/** Notifications on their way to one notifier at a time: more than operations go wrong at once in all but a storm. */
const mostAtOnce = 100;

interface Line {
  readonly notifier: Notifier;
  readonly running: Set<Promise<void>>;
}

/** Tells notifiers of anomalies. A notifier that fails is counted and told of, what one that hangs does not get is counted; it holds up nobody. */
export class AnomalyNotices {
  readonly #lines: readonly Line[];
  readonly #clock: Clock;
  readonly #secrets: SecretResolver | undefined;
  readonly #onFailed: (notifier: string, error: unknown) => void;
  #sent = 0;
  #failed = 0;
  #dropped = 0;

  constructor(
    notifiers: readonly Notifier[],
    clock: Clock,
    secrets: SecretResolver | undefined,
    onFailed: (notifier: string, error: unknown) => void,
  ) {
    this.#onFailed = onFailed;
    this.#lines = notifiers.map((notifier) => ({ notifier, running: new Set() }));
    this.#clock = clock;
    this.#secrets = secrets;
  }

  get stats(): NoticeStats {
    return { sent: this.#sent, failed: this.#failed, dropped: this.#dropped };
  }

  /** Sends the anomaly as it is now to every notifier that has room. */
  announce(anomaly: PerformanceAnomaly): void {
    for (const { notifier, running } of this.#lines) {
      if (running.size >= mostAtOnce) {
        this.#dropped += 1;
        continue;
      }
      const sending = this.#send(notifier, notificationOf(anomaly)).finally(() => running.delete(sending));
      running.add(sending);
    }
  }

  /** Waits for what is on its way. */
  async settled(): Promise<void> {
    await Promise.all(this.#lines.flatMap(({ running }) => [...running]));
  }

  async #send(notifier: Notifier, notification: Notification): Promise<void> {
    try {
      const limits = { timeoutMs: sendTimeoutMs, clock: this.#clock, secrets: this.#secrets };
      await withCall(limits, async (call) => await notifier.send(notification, call));
      this.#sent += 1;
    } catch (error) {
      this.#failed += 1;
      this.#onFailed(notifier.id, error);
    }
  }
}

function notificationOf(anomaly: PerformanceAnomaly): Notification {
  const { service, operation, signal, severity, closedAt } = anomaly;
  return {
    key: `apm/${service}/${operation}/${signal}`,
    status: closedAt === undefined ? 'firing' : 'resolved',
    severity,
    title: `Unusual ${signal} of ${service} ${operation}`,
    text: sentenceOf(anomaly),
    labels: { service, operation, signal },
    links: [],
    startedAtMs: anomaly.openedAt.getTime(),
    ...(closedAt === undefined ? {} : { endedAtMs: closedAt.getTime() }),
  };
}
