// #region metrics
import assert from 'node:assert/strict';
import { MetricRegistry } from '@mnops/monitoring';

const metrics = new MetricRegistry();
const orders = metrics.counter({ name: 'checkout_orders_total', help: 'Orders placed.', labels: ['tenant', 'result'] });
const duration = metrics.histogram({
  name: 'checkout_duration_seconds',
  help: 'Time to place an order.',
  unit: 'seconds',
});

const accepted = orders.with({ tenant: 'acme', result: 'accepted' }); // once
accepted.inc(); // per order: a few nanoseconds
orders.inc({ tenant: 'acme', result: 'declined' }); // without a handle
const seconds = duration.startTimer()();
// #endregion

const text = await metrics.text();
assert.match(text, /^checkout_orders_total\{tenant="acme",result="accepted"\} 1$/m);
assert.match(text, /^checkout_duration_seconds_count 1$/m);
assert.ok(seconds >= 0);
