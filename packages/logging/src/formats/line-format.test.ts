import { expect, it } from 'vitest';
import { LogAggregationManager, type LogFormat, memorySink } from '../index.js';

async function lineOf(format: LogFormat): Promise<string> {
  const sink = memorySink({ format });
  const logs = new LogAggregationManager({ service: { name: 'shop', version: '2' }, sinks: [sink], store: false });
  await logs.start();
  logs.logger('http').error('failed \u001b[31m', { id: 7, error: new Error('bad', { cause: new Error('root') }) });
  await logs.stop();
  return sink.lines.join('\n');
}

it('writes the Elastic Common Schema', async () => {
  expect(JSON.parse(await lineOf('ecs'))).toMatchObject({
    'log.level': 'error',
    message: 'failed \u001b[31m',
    'service.name': 'shop',
    'service.version': '2',
    'log.logger': 'http',
    'error.type': 'Error',
    'error.message': 'bad',
    id: 7,
  });
});

it('writes text for a person, with causes, and never what could steer a terminal', async () => {
  const text = await lineOf('pretty');
  expect(text).toMatch(/^\d\d:\d\d:\d\d\.\d{3} ERROR {3}http failed \\x1b\[31m id=7\n {2}Error: bad\n/);
  expect(text).toContain('Caused by: Error: root');
  expect(text).not.toContain('\u001b');
});

it('uses a formatter of the user, and loses no line when that throws', async () => {
  expect(await lineOf(({ level, message }) => `${level}:${message.length}`)).toBe('error:12');
  const thrown = await lineOf(() => {
    throw new Error('no');
  });
  expect(JSON.parse(thrown)).toMatchObject({ severityText: 'error' });
});
