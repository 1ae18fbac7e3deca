import type { EventHub } from '@mnops/core/lifecycle';
import type { Clock } from '@mnops/core/spi';
import type { OrchestrationEvents, RolloutEvent } from '../events.js';

const maxWaiting = 1_000;

/** Events of one service as sentences, from now on. */
export function watchEvents(
  hub: EventHub<OrchestrationEvents>,
  service: string,
  clock: Clock,
  signal: AbortSignal | undefined,
): AsyncIterable<RolloutEvent> {
  const waiting: RolloutEvent[] = [];
  let dropped = 0;
  let wake: (() => void) | undefined;
  const removers = (Object.keys(sentences) as (keyof typeof sentences)[]).map((type) =>
    hub.on(type, (value) => {
      if (value.service !== service) return;
      if (waiting.length >= maxWaiting) {
        waiting.shift();
        dropped += 1;
      }
      const message = (sentences[type] as (event: typeof value) => string)(value);
      waiting.push({ type, service, at: new Date(clock.now()), message });
      wake?.();
    }),
  );
  const stop = (): void => {
    for (const remove of removers) remove();
    wake?.();
  };
  signal?.addEventListener('abort', stop, { once: true });
  async function* events(): AsyncGenerator<RolloutEvent> {
    try {
      while (signal?.aborted !== true) {
        if (dropped > 0) {
          const message = `${dropped} events were dropped.`;
          dropped = 0;
          yield { type: 'gap', service, at: new Date(clock.now()), message };
        }
        const next = waiting.shift();
        if (next !== undefined) {
          yield next;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener('abort', stop);
      stop();
    }
  }
  return events();
}

const sentences = {
  'rollout:started': ({ operation, toRevision }: OrchestrationEvents['rollout:started']) =>
    `${operation} of ${toRevision} began.`,
  'rollout:step-ended': ({ step, durationMs }: OrchestrationEvents['rollout:step-ended']) =>
    `${step} ended after ${Math.round(durationMs)} ms.`,
  'rollout:paused': ({ message }: OrchestrationEvents['rollout:paused']) => message,
  'rollout:ended': ({ result }: OrchestrationEvents['rollout:ended']) =>
    [`The rollout ended: ${result.state}.`, ...result.reasons.map(({ message }) => message)].join(' '),
  'route:shifted': ({ shares }: OrchestrationEvents['route:shifted']) =>
    shares.by === 'instance'
      ? `Requests go to ${shares.revisions.join(', ')}.`
      : `Requests go to ${Object.entries(shares.weights)
          .map(([revision, weight]) => `${revision} ${weight} %`)
          .join(', ')}.`,
  'instance:crashed': ({ instance, message }: OrchestrationEvents['instance:crashed']) => `${instance}: ${message}`,
  'instance:became-ready': ({ instance }: OrchestrationEvents['instance:became-ready']) => `${instance} is ready.`,
  'service:removed': () => 'The service was removed.',
};
