import { onOperation } from '@mnops/core/operations';
import type { MetricRegistry } from './registry.js';

/**
 * Makes metrics of the operation events that all MNOps packages publish: how many, how long, with which outcome.
 *
 * @returns `stop()` ends the listening.
 */
export function operationMetrics(registry: MetricRegistry): { stop(): void } {
  const total = registry.counter({
    name: 'mnops_operations_total',
    help: 'Operations of MNOps packages, by outcome.',
    labels: ['package', 'operation', 'outcome'],
  });
  const duration = registry.histogram({
    name: 'mnops_operation_duration_seconds',
    help: 'Duration of operations of MNOps packages.',
    unit: 'seconds',
    labels: ['package', 'operation'],
  });
  const stop = onOperation((event) => {
    if (event.phase === 'start') return;
    const names = { package: event.package, operation: event.operation };
    total.inc({ ...names, outcome: event.phase === 'error' ? (event.code ?? 'error') : 'ok' });
    if (event.durationMs !== undefined) duration.observe(names, event.durationMs / 1_000);
  });
  return { stop };
}
