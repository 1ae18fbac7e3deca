import type { KubernetesWatchEvent } from '@mnops/core/kubernetes';
import type { SecretChange } from '@mnops/core/spi';
import { pathOfObject } from './secret-state.js';

/** A watch of Secrets as changes below a prefix, begun at once and not at the first read. */
export function secretChanges(
  events: AsyncGenerator<KubernetesWatchEvent<object>, void, undefined>,
  prefix: string,
): { readonly begun: Promise<void>; readonly changes: AsyncIterable<SecretChange> } {
  const first = events.next();
  const done = (): undefined => undefined;
  return { begun: first.then(done, done), changes: changesAfter(first, events, prefix) };
}

async function* changesAfter(
  first: Promise<IteratorResult<KubernetesWatchEvent<object>, void>>,
  events: AsyncGenerator<KubernetesWatchEvent<object>, void, undefined>,
  prefix: string,
): AsyncGenerator<SecretChange, void, undefined> {
  // What is there at the beginning is no change.
  if ((await first).done === true) return;
  for await (const event of events) {
    if (event.type === 'listed') {
      // Changes were missed and cannot be told one by one.
      yield {};
      continue;
    }
    const path = pathOfObject(event.object);
    if (path?.startsWith(prefix) === true) yield { path };
  }
}
