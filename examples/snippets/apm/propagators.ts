import assert from 'node:assert/strict';
// #region propagators
import { PerformanceMonitoringManager } from '@mnops/apm';

const apm = new PerformanceMonitoringManager({ service: 'shop', propagators: ['tracecontext', 'baggage', 'b3'] });
await apm.start();
const headers: Record<string, string> = {};
apm.trace('call', { kind: 'client' }, () => apm.inject(headers)); // traceparent and b3
const b3 = '80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1'; // from a service that knows B3 only
const traceId = apm.trace('serve', { kind: 'server', parent: { b3 } }, (span) => span.spanContext().traceId);
// #endregion

assert.deepEqual(Object.keys(headers).sort(), ['b3', 'traceparent']);
assert.equal(traceId, '80f198ee56343ba864fe8b2a57d3eff7');
await apm.stop();
