import type { MetricSource, Notification, Notifier } from '@mnops/core/spi';
import { eventually } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { MonitoringStackManager } from './monitoring-stack-manager.js';
import { channelNames } from './notify/channel-name.js';
import { webhookNotifier } from './notify/channels/webhook.js';

const up = { metric: 'up', reduce: 'last', windowMs: 1_000 } as const;

/** Fields that a call complains about. */
async function fieldsOf(run: () => unknown): Promise<string[]> {
  try {
    await run();
  } catch (error) {
    const { code, details } = error as { code: string; details: { issues: { field: string }[] } };
    expect(code).toBe('MNOPS_CORE_CONFIG_INVALID');
    return details.issues.map(({ field }) => field);
  }
  return [];
}

function recorder(id: string, seen: string[]): Notifier {
  return {
    specVersion: 1,
    kind: 'notifier',
    id,
    capabilities: { resolved: true, threads: false, maxBytes: 1_000 },
    send: async ({ key }: Notification) => void seen.push(key),
  };
}

describe('rules that would be one alert', () => {
  const rule = { alert: 'Down', query: up, below: 1, labels: { severity: 'critical', team: 'a' } } as const;

  it('are refused within a group, by name', async () => {
    const again = { ...rule, below: 5, labels: { team: 'a', severity: 'critical' } };
    const groups = [{ name: 'g', rules: [rule, again] }];
    expect(await fieldsOf(() => new MonitoringStackManager({ rules: groups }))).toEqual(['rules[0].rules[1].alert']);
    const manager = new MonitoringStackManager();
    expect(await fieldsOf(() => manager.reload({ rules: groups }))).toEqual(['rules[0].rules[1].alert']);
    await manager.stop();
  });

  it('are told apart by a label, or by their group', async () => {
    const other = { ...rule, labels: { ...rule.labels, team: 'b' } };
    const rules = [
      { name: 'one', rules: [rule, other] },
      { name: 'two', rules: [rule] },
    ];
    expect(await fieldsOf(() => new MonitoringStackManager({ rules }))).toEqual([]);
  });
});

describe('channels with one id', () => {
  it('are told apart in events', async () => {
    const delivered: string[] = [];
    const got: string[] = [];
    const manager = new MonitoringStackManager({ notifiers: [recorder('hook', got), recorder('hook', got)] });
    manager.on('notification:sent', ({ notifier }) => delivered.push(notifier));
    await manager.start();
    const call = { signal: new AbortController().signal, remainingMs: () => 1_000, secret: async () => '' };
    const notification = { key: 'k', status: 'info', severity: 'info', title: 't', text: '' } as const;
    await manager.notifier.send({ ...notification, labels: {}, links: [], startedAtMs: 0 }, call);
    await eventually(() => expect(delivered.sort()).toEqual(['hook', 'hook-2']));
    expect(got).toHaveLength(2);
    await manager.stop();
  });

  it('can be named by their user', () => {
    const hooks = ['pages', 'chat'].map((id) => webhookNotifier({ id, url: 'https://hooks.test/secret-part' }));
    expect(channelNames(hooks)).toEqual(['pages', 'chat']);
    expect(() => webhookNotifier({ id: 'https://x', url: 'https://hooks.test' })).toThrow(/small letters/);
  });
});

describe('queries', () => {
  it('are refused by field before the source is asked', async () => {
    let asked = 0;
    const source: MetricSource = {
      specVersion: 1,
      kind: 'metric-source',
      id: 'own',
      capabilities: { promql: false, structured: true },
      query: async () => {
        asked += 1;
        return [];
      },
    };
    const manager = new MonitoringStackManager({ metricSources: { own: source } });
    const ask = (query: unknown, options: unknown = { source: 'own' }) =>
      manager.query(query as typeof up, options as { source: string });
    expect(await fieldsOf(() => ask(up, { sorce: 'own' }))).toEqual(['sorce']);
    expect(await fieldsOf(() => ask({ ...up, windwMs: 1 }))).toEqual(['query.windwMs']);
    expect(await fieldsOf(() => ask({ promql: 'up' }))).toEqual(['query']);
    expect(await fieldsOf(() => ask(undefined))).toEqual(['query']);
    expect(asked).toBe(0);
    await ask(up);
    expect(asked).toBe(1);
    await manager.stop();
  });
});
