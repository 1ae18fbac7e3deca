import { afterEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';

const apm = new PerformanceMonitoringManager({ service: 'test', registerGlobals: false });
afterEach(() => apm.stop());

describe('queries', () => {
  it('are refused by name when they ask for what is not known', async () => {
    const calls: readonly (readonly [() => unknown, string])[] = [
      [
        () =>
          apm
            .findTraces({ servce: 'a' } as never)
            [Symbol.asyncIterator]()
            .next(),
        'servce',
      ],
      [() => apm.findTraces({ limit: -1 })[Symbol.asyncIterator]().next(), 'limit'],
      [() => apm.detectAnomalies({ signal: 'latency' } as never), 'signal'],
      [() => apm.baselines({ op: 'GET' } as never), 'op'],
      [() => apm.baselines({ kind: 'servr' } as never), 'kind'],
      [() => apm.serviceMap({ since: new Date() } as never), 'since'],
      [() => apm.findRootCause({ at: new Date(), sevice: 'a' } as never), 'sevice'],
    ];
    for (const [run, field] of calls) {
      const error: unknown = await (async () => run())().then(
        () => undefined,
        (caught: unknown) => caught,
      );
      expect(error, field).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID', details: { issues: [{ field }] } });
    }
    expect(apm.baselines({ service: 'test', kind: 'server' })).toEqual([]);
    expect(apm.serviceMap().services).toEqual([]);
  });
});
