import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// #region search
import { LogAggregationManager } from '@mnops/logging';

const folder = await mkdtemp(join(tmpdir(), 'logs-'));
const logs = new LogAggregationManager({ service: 'checkout', folder, sinks: [] });
await logs.start();

logs.logger('payments').error('payment declined', { orderId: 17, user: { id: 'ada' } });
await logs.append([{ message: 'imported', level: 'info', time: '2026-01-01T00:00:00Z' }]); // durable when it resolves

const { entries, next } = await logs.search({
  from: '-1h',
  level: 'warn', // and more urgent
  text: '"payment declined"',
  where: { 'user.id': 'ada', orderId: { gte: 10 } },
  limit: 50,
});
// #endregion
assert.equal(entries.length, 1);
assert.equal(next, undefined);
assert.equal((await logs.search({ to: '-1h' })).entries[0]?.message, 'imported');
// #region tail
const abort = new AbortController();
setTimeout(() => logs.logger('payments').info('one more'), 20);
for await (const entry of logs.tail({ where: { logger: 'payments' } }, { signal: abort.signal })) {
  console.log(entry.timeMs, entry.level, entry.message);
  abort.abort();
}
// #endregion
await logs.stop();
