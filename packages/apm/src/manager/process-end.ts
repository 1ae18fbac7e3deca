import { withCall } from '@mnops/core';
import { processHooks } from '@mnops/core/lifecycle';
import type { Clock } from '@mnops/core/spi';
import type { Pipeline } from './pipeline.js';

/**
 * Saves what is held when the process ends: delivered where there is time for it, else written to the folder.
 *
 * @param graceMs - Milliseconds that delivery may take then.
 * @returns A function that takes the hooks away.
 */
export function saveAtProcessEnd(pipeline: Pipeline, clock: Clock, graceMs: number): () => void {
  /** Whether the natural end was put off in vain. */
  let tried = false;
  const unfinished = (): boolean => pipeline.deliveries.held > 0 || pipeline.kept?.unsaved === true;
  const finish = async (): Promise<void> => {
    pipeline.settle();
    await pipeline.kept?.flush();
    await withCall({ timeoutMs: graceMs, clock }, async (ending) => await pipeline.deliveries.flushOrKeep(ending));
  };
  return processHooks().register({
    name: 'apm',
    graceMs,
    flush: finish,
    naturalEnd: () => {
      pipeline.settle();
      if (tried || !unfinished()) return undefined;
      return finish()
        .catch(() => undefined)
        .finally(() => {
          tried = unfinished();
        });
    },
    writeNow: () => {
      pipeline.settle();
      pipeline.deliveries.persistNow();
    },
  });
}
