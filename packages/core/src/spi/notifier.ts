import type { Call, Spi } from './base.js';

/** One message to people. */
export interface Notification {
  /** Stable identity of what it is about: a later one with this key updates or resolves the earlier. */
  readonly key: string;
  readonly status: 'firing' | 'resolved' | 'info';
  readonly severity: 'info' | 'warning' | 'critical';
  readonly title: string;
  readonly text: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly links: readonly { readonly title: string; readonly url: string }[];
  /** Epoch milliseconds. */
  readonly startedAtMs: number;
  /** Epoch milliseconds; present once resolved. */
  readonly endedAtMs?: number | undefined;
}

/** Delivers messages to people through one channel. Sending the same notification again is harmless. */
export interface Notifier extends Spi<'notifier'> {
  readonly capabilities: {
    /** Whether the channel can show that a notification is over. */
    readonly resolved: boolean;
    readonly threads: boolean;
    /** Largest message text in bytes; longer ones are cut at a code point. */
    readonly maxBytes: number;
  };
  send(notification: Notification, call: Call): Promise<void>;
}
