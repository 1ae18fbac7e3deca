import type { Call } from '@mnops/core/spi';
import type { ResolvedConfig } from './config.js';

/** One message to people. */
export interface Message {
  readonly key: string;
  readonly severity: 'warning' | 'critical';
  readonly title: string;
  readonly text: string;
  readonly atMs: number;
}

/** Sends a message through every notifier; a failing one does not keep the others from it. */
export async function notifyAll(
  { notifiers, service }: ResolvedConfig,
  call: Call,
  { key, severity, title, text, atMs }: Message,
  onFailure: (notifier: string, error: unknown) => void,
): Promise<void> {
  const notification = {
    key: `dr:${service.name}:${key}`,
    status: 'info' as const,
    severity,
    title,
    text,
    labels: { service: service.name },
    links: [],
    startedAtMs: atMs,
  };
  await Promise.all(
    notifiers.map(async (notifier) => {
      try {
        await notifier.send(notification, call);
      } catch (error) {
        onFailure(notifier.id, error);
      }
    }),
  );
}
