import { codeOf, withCall } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import { retry } from '@mnops/core/resilience';
import type { Clock, Notification, Notifier, SecretResolver } from '@mnops/core/spi';
import { channelNames } from './channel-name.js';

/** What became of a notification on one channel. */
export interface DeliveryEvent {
  /** The notifier's id; a second one with the same id has `-2` behind it. */
  readonly notifier: string;
  readonly key: string;
  readonly status: Notification['status'];
  /** Error code of the last try; absent when it was delivered. */
  readonly code?: string | undefined;
}

/** How deliveries behave. */
export interface DispatcherOptions {
  readonly clock: Clock;
  readonly secrets: SecretResolver | undefined;
  /** Notifications that may wait per channel. */
  readonly maxQueued: number;
  /** Milliseconds for one notification on one channel, retries included. */
  readonly deliveryTimeoutMs: number;
  readonly sent: (event: DeliveryEvent) => void;
  readonly failed: (event: DeliveryEvent) => void;
}

/** One channel with what waits for it. Order holds per channel, and one that is down delays no other. */
class Channel {
  readonly notifier: Notifier;
  readonly #name: string;
  readonly #options: DispatcherOptions;
  readonly #queue: Notification[] = [];
  readonly #controller = new AbortController();
  #working: Promise<void> | undefined;

  constructor(notifier: Notifier, name: string, options: DispatcherOptions) {
    this.notifier = notifier;
    this.#name = name;
    this.#options = options;
  }

  get queued(): number {
    return this.#queue.length;
  }

  push(notification: Notification): void {
    if (notification.status === 'resolved' && !this.notifier.capabilities.resolved) return;
    // A newer word on the same alert replaces one that still waits behind the running delivery.
    const waiting = this.#queue.findIndex(
      (other, index) => index > 0 && other.key === notification.key && other.status === notification.status,
    );
    if (waiting >= 0) this.#queue.splice(waiting, 1);
    if (this.#queue.length >= this.#options.maxQueued) this.#dropOne();
    this.#queue.push(notification);
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  abort(): void {
    this.#controller.abort();
  }

  /** At the limit resolved ones go first: losing a firing alert is the worst. */
  #dropOne(): void {
    const resolved = this.#queue.findIndex(({ status }, index) => index > 0 && status !== 'firing');
    const [dropped] = this.#queue.splice(resolved > 0 ? resolved : Math.min(1, this.#queue.length - 1), 1);
    if (dropped !== undefined) this.#report(dropped, 'MNOPS_CORE_TOO_LARGE');
  }

  async #work(): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const code = await this.#deliver(next);
      const index = this.#queue.indexOf(next);
      if (index >= 0) this.#queue.splice(index, 1);
      this.#report(next, code);
    }
  }

  #report({ key, status }: Notification, code: string | undefined): void {
    const event = { notifier: this.#name, key, status, code };
    if (code === undefined) this.#options.sent(event);
    else this.#options.failed(event);
  }

  async #deliver(notification: Notification): Promise<string | undefined> {
    const { clock, secrets, deliveryTimeoutMs: timeoutMs } = this.#options;
    try {
      const { key, status, severity } = notification;
      const context = { notifier: this.#name, key, status, severity };
      await traced('mnops:monitoring:notify', context, () =>
        withCall({ timeoutMs, secrets, clock, signal: this.#controller.signal }, (call) =>
          retry(() => this.notifier.send(notification, call), {
            signal: call.signal,
            clock,
            maxAttempts: 10,
            remainingMs: () => call.remainingMs(),
          }),
        ),
      );
      return undefined;
    } catch (error) {
      return codeOf(error) ?? 'unknown';
    }
  }
}

/** Sends notifications to every channel, each at its own pace. */
export class Dispatcher {
  readonly #channels: readonly Channel[];

  constructor(notifiers: readonly Notifier[], options: DispatcherOptions) {
    const names = channelNames(notifiers);
    this.#channels = notifiers.map((notifier, index) => new Channel(notifier, names[index] ?? notifier.id, options));
  }

  /** Notifications that wait, over all channels. */
  get queued(): number {
    return this.#channels.reduce((sum, { queued }) => sum + queued, 0);
  }

  send(notification: Notification): void {
    for (const channel of this.#channels) channel.push(notification);
  }

  /** Waits for what is queued; after `graceMs` the rest is given up and reported as failed. */
  async drain(graceMs: number, clock: Clock): Promise<void> {
    const giveUp = (): void => {
      for (const channel of this.#channels) channel.abort();
    };
    const late = clock.setTimer(graceMs, giveUp, { hold: true });
    await Promise.all(this.#channels.map((channel) => channel.idle()));
    late.cancel();
  }
}
