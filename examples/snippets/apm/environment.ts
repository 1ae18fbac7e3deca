import assert from 'node:assert/strict';

process.env['OTEL_SERVICE_NAME'] = 'shop';
process.env['OTEL_PROPAGATORS'] = 'tracecontext,b3';
process.env['OTEL_BSP_MAX_QUEUE_SIZE'] = 'many';

// #region environment
import { PerformanceMonitoringManager } from '@mnops/apm';
import { apmConfigFromEnvironment } from '@mnops/apm/environment';

const { config, warnings } = await apmConfigFromEnvironment(process.env);
for (const warning of warnings) console.warn(warning);
const apm = new PerformanceMonitoringManager({ ...config, processHooks: true });
await apm.start();
// #endregion

assert.deepEqual(config, { service: { name: 'shop' }, propagators: ['tracecontext', 'b3'] });
assert.deepEqual(warnings, [
  'OTEL_BSP_MAX_QUEUE_SIZE is no whole number of at least 1; it is ignored. Set one, or unset it.',
]);
await apm.stop();
