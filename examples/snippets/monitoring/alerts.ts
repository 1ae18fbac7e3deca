// Background timers hold no process; a service is held by its server.
const alive = setInterval(() => undefined, 1_000);

// #region alerts
import assert from 'node:assert/strict';
import { consoleNotifier, MonitoringStackManager, type RuleGroup } from '@mnops/monitoring';

const lines: string[] = [];
const rules: RuleGroup[] = [
  {
    name: 'checkout',
    rules: [
      {
        alert: 'CheckoutErrors',
        query: {
          ratio: {
            part: { metric: 'requests_total', reduce: 'increase', windowMs: 60_000, match: { status: '5xx' } },
            whole: { metric: 'requests_total', reduce: 'increase', windowMs: 60_000 },
          },
        },
        above: 0.05,
        for: '50ms',
        labels: { severity: 'critical' },
        annotations: { summary: '{{ $value | humanizePercentage }} of requests fail' },
      },
    ],
  },
];
const monitoring = new MonitoringStackManager({
  service: 'checkout',
  rules,
  tickMs: 25,
  notifiers: [consoleNotifier({ write: (line) => lines.push(line) })],
});
await monitoring.start();
const requests = monitoring.metrics.counter({ name: 'requests_total', help: 'Requests.', labels: ['status'] });
requests.inc({ status: '2xx' }, 90);
requests.inc({ status: '5xx' }, 10);

const fired = await new Promise<number>((resolve) => monitoring.on('alert:fired', ({ value }) => resolve(value)));
await monitoring.stop(); // waits for queued notifications
// #endregion

assert.equal(fired, 0.1);
assert.deepEqual(lines, ['FIRING critical 10% of requests fail']);
clearInterval(alive);
