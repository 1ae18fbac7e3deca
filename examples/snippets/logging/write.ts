import assert from 'node:assert/strict';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// #region write
import { fileSink, LogAggregationManager } from '@mnops/logging';

const folder = await mkdtemp(join(tmpdir(), 'logs-'));
const logs = new LogAggregationManager({
  service: { name: 'checkout', version: '1.4.0' },
  sinks: [fileSink({ path: join(folder, 'app.log') })], // default: the console, pretty on a terminal
  level: { '*': 'info', 'db.*': 'warn' },
  redact: { paths: ['user.card', '**.password'], patterns: ['bearer'] },
  processHooks: true, // nothing is lost at process.exit, an uncaught error, SIGTERM
});
await logs.start();

const logger = logs.logger('payments').child({ region: 'eu' });
logger.info('order paid', { orderId: 7, user: { name: 'ada', card: '4111 1111 1111 1111' } });
logger.error('charge failed', new Error('declined', { cause: new Error('no funds') }));
logs.runWithContext({ requestId: 'r-17' }, () => logger.warn('retrying, attempt %d', {}, 2));
logs.setLevel('db.*', 'debug'); // while it runs
await logs.stop();
// #endregion
const lines = (await readFile(join(folder, 'app.log'), 'utf8'))
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line));
assert.equal(lines.length, 3);
assert.equal(lines[0].attributes.user.card, '[Redacted]');
assert.equal(lines[1].attributes.error.cause.message, 'no funds');
assert.deepEqual(lines[2].attributes, { requestId: 'r-17', region: 'eu' });
assert.equal(lines[2].body, 'retrying, attempt 2');
