import assert from 'node:assert/strict';
// #region winston
import { LogAggregationManager } from '@mnops/logging';
import { createWinstonLogger } from '@mnops/logging/winston';

const logs = new LogAggregationManager({ service: 'shop', sinks: [], processHooks: true });
await logs.start();

const logger = createWinstonLogger(logs, { level: 'info' }); // a winston.Logger; or add mnopsTransport(logs) to your own
logger.info('order paid', { orderId: 7 });
logger.error(new Error('declined'));
// #endregion
const { entries } = await logs.search({ sort: 'oldest-first' });
assert.deepEqual(
  entries.map(({ message }) => message),
  ['order paid', 'declined'],
);
await logs.stop();
