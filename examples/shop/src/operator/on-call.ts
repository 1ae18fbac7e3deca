import type { Notifier } from '@mnops/core/spi';
import type { LogAggregationManager } from '@mnops/logging';

/** Whoever is on call reads the log: each notification becomes a line in it. */
export function onCallLog(logs: LogAggregationManager): Notifier {
  return {
    specVersion: 1,
    kind: 'notifier',
    id: 'on-call-log',
    capabilities: { resolved: true, threads: false, maxBytes: 65_536 },
    async send({ title, status, severity, key }, { signal }) {
      const level = status === 'firing' ? 'warn' : 'info';
      await logs.append([{ message: title, level, logger: 'on-call', attributes: { key, status, severity } }], {
        signal,
      });
    },
  };
}
