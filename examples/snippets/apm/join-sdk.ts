import assert from 'node:assert/strict';
// #region library
import { PerformanceMonitoringManager } from '@mnops/apm';
import { trace } from '@opentelemetry/api';

const apm = new PerformanceMonitoringManager({ service: 'shop' });
await apm.start();
// Libraries that are instrumented for OpenTelemetry need nothing else: they find the tracer through its globals.
const ended = trace.getTracer('some-library').startActiveSpan('query', (span) => {
  span.end();
  return span.spanContext().traceId;
});
// #endregion

assert.equal((await apm.getTrace(ended))?.spans[0]?.scope.name, 'some-library');
await apm.stop();
