import { describe, expect, it } from 'vitest';
import winston from 'winston';
import { LogAggregationManager, memorySink } from '../index.js';
import { createWinstonLogger, mnopsTransport } from './index.js';

async function started(level: 'info' | 'silly' = 'silly') {
  const sink = memorySink();
  const logs = new LogAggregationManager({ service: 'shop', sinks: [sink], store: false, level });
  await logs.start();
  const entries = (): Record<string, unknown>[] => sink.lines.map((line) => JSON.parse(line));
  return { logs, sink, entries };
}

describe('createWinstonLogger', () => {
  it('writes within the call, with level, message and attributes', async () => {
    const { logs, entries } = await started();
    const logger = createWinstonLogger(logs, { level: 'http', name: 'api' });
    logger.info('hello', { id: 7 });
    logger.http('got it');
    logger.debug('below the level');
    logger.log('warn', 'splat %s', 'filled', { more: 1 });
    expect(entries()).toMatchObject([
      { severityText: 'info', body: 'hello', scope: 'api', attributes: { id: 7 } },
      { severityText: 'http', body: 'got it' },
      { severityText: 'warn' },
    ]);
    await logs.stop();
  });

  it('keeps what winston loses: errors in any place, a message among the fields, fields over defaultMeta', async () => {
    const { logs, entries } = await started();
    const logger = createWinstonLogger(logs, { defaultMeta: { service: 'default', region: 'default' } });
    logger.error(new Error('alone'));
    logger.error('failed', new TypeError('as meta', { cause: new Error('root') }));
    logger.error('failed', { err: new Error('as field') });
    logger.info('text', { message: 'own', region: 'call' });
    logger.info('frozen', Object.freeze({ a: 1 }));
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    logger.info('circular', circular);
    const [alone, meta, field, glued, frozen, round] = entries();
    expect(alone).toMatchObject({ body: 'alone', attributes: { error: { type: 'Error', message: 'alone' } } });
    expect(meta).toMatchObject({
      body: 'failed',
      attributes: { error: { type: 'TypeError', cause: { message: 'root' } } },
    });
    expect(field).toMatchObject({ body: 'failed', attributes: { err: { message: 'as field' } } });
    expect(glued).toMatchObject({ body: 'text', attributes: { message: 'own', region: 'call', service: 'default' } });
    expect(frozen).toMatchObject({ attributes: { a: 1 } });
    expect(round).toMatchObject({ body: 'circular' });
    await logs.stop();
  });
});

it('refuses transports by name, in place of leaving them out', async () => {
  const { logs } = await started();
  for (const transports of [[new winston.transports.Console()], new winston.transports.Console(), []]) {
    const options = { transports } as object;
    expect(() => createWinstonLogger(logs, options)).toThrow(
      expect.objectContaining({
        code: 'MNOPS_CORE_CONFIG_INVALID',
        details: { issues: [expect.objectContaining({ field: 'transports' })] },
        message: expect.stringContaining('logger.add'),
      }),
    );
  }
  await logs.stop();
});

describe('mnopsTransport', () => {
  it('works in any winston logger and beside other transports', async () => {
    const { logs, entries } = await started();
    const logger = winston.createLogger({ level: 'info', transports: [mnopsTransport(logs, { level: 'warn' })] });
    for (let index = 0; index < 200; index += 1) logger.warn('line', { index });
    logger.info('below the level of the transport');
    await new Promise((resolve) => logger.on('finish', resolve).end());
    expect(entries()).toHaveLength(200);
    expect(entries().map(({ attributes }) => (attributes as { index: number }).index)).toEqual(
      Array.from({ length: 200 }, (_, index) => index),
    );
    await logs.stop();
  });
});
