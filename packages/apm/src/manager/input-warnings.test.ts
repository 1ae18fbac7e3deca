import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { testExporter } from '../testing/test-exporter.js';

/** What a program without types may write. */
type Loose = {
  trace(...all: unknown[]): unknown;
  withContext(...all: unknown[]): unknown;
  recordMetric(metric: unknown): void;
  readonly tracer: { startSpan(...all: unknown[]): { end(): void }; startActiveSpan(...all: unknown[]): unknown };
};

interface Warning extends Error {
  readonly code?: string;
}

let warnings: Warning[] = [];
let apm: PerformanceMonitoringManager;
let loose: Loose;
const listen = (warning: Warning): void => {
  if (warning.code?.startsWith('MNOPS_') === true) warnings.push(warning);
};

beforeEach(() => {
  warnings = [];
  process.on('warning', listen);
  apm = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false });
  loose = apm as unknown as Loose;
});
afterEach(async () => {
  process.off('warning', listen);
  await apm.stop();
});

/** Warnings are emitted in the next tick. */
async function told(code: string): Promise<readonly string[]> {
  await new Promise((resolve) => setImmediate(resolve));
  const messages = warnings.filter((warning) => warning.code === code).map(({ message }) => message);
  warnings = [];
  return messages;
}

describe('before start()', () => {
  it('the first span and the first metric say so, once each', async () => {
    for (let i = 0; i < 3; i += 1) {
      apm.trace('early', () => 1);
      apm.tracer.startSpan('early').end();
      apm.recordMetric({ name: 'm', kind: 'gauge', value: 1 });
    }
    expect(await told('MNOPS_NOT_STARTED')).toEqual([
      'trace was called before start() of the PerformanceMonitoringManager had ended: the span is not recorded, nor is any other until then. Call `await apm.start()` first.',
      'recordMetric was called before start() of the PerformanceMonitoringManager had ended: the value is kept, but nothing judges it until then. Call `await apm.start()` first.',
    ]);
    expect((await apm.health()).reasons).toEqual(['The manager is idle: start() was not called.']);
    expect(apm.stats().metrics.recorded).toBe(3);
  });

  it('a start that is not awaited is no start yet', async () => {
    const starting = apm.start();
    apm.tracer.startSpan('early').end();
    await starting;
    expect(await told('MNOPS_NOT_STARTED')).toEqual([expect.stringMatching(/^startSpan was called before/)]);
  });

  it('says nothing after it, nor after a stop', async () => {
    await apm.start();
    apm.trace('x', () => 1);
    apm.recordMetric({ name: 'm', kind: 'gauge', value: 1 });
    await apm.stop();
    apm.trace('x', () => 1);
    apm.tracer.startSpan('x').end();
    expect(await told('MNOPS_NOT_STARTED')).toEqual([]);
  });
});

describe('code of the user that throws where nobody can catch it', () => {
  const thrown = Object.assign(new Error('POST https://user:c4nary@host/x?key=c4nary failed'), { code: 'EHOST' });
  const said = 'POST https://[removed]@host/x?[removed] failed (EHOST)';
  const fail = (): never => {
    throw thrown;
  };

  it.each([true, false])('is heard with message and cause: exporter, listened to: %s', async (listened) => {
    const exporter = testExporter(fail, { id: 'mine' });
    const own = new PerformanceMonitoringManager({ service: 'shop', registerGlobals: false, exporters: [exporter] });
    const events: unknown[] = [];
    if (listened) own.on('exporter:down', (event) => events.push(event));
    own.on('spans:dropped', (event) => events.push(event));
    await own.start();
    for (let i = 0; i < 3; i += 1) {
      own.trace('x', () => 1);
      await own.flush();
    }
    expect(events.slice(0, 1)).toMatchObject([{ exporter: 'mine', code: 'EHOST', message: said, cause: thrown }]);
    expect(events).toContainEqual(
      expect.objectContaining({ exporter: 'mine', code: 'EHOST', message: said, cause: thrown }),
    );
    expect((await own.health()).reasons.join()).toContain(`does not take spans (${said})`);
    const [warning] = warnings.filter(({ code }) => code === 'MNOPS_CALLBACK_FAILED');
    if (listened) expect(warning).toBeUndefined();
    else expect(warning).toMatchObject({ message: `The exporter mine failed: ${said}`, cause: thrown });
    await own.stop();
  });

  it('is heard of a sampler, once', async () => {
    const own = new PerformanceMonitoringManager({
      service: 'shop',
      registerGlobals: false,
      sampling: { head: { kind: 'custom', sampler: { shouldSample: fail } } },
    });
    await own.start();
    for (let i = 0; i < 3; i += 1) own.trace('x', () => 1);
    expect(own.stats().spans.ended).toBe(3);
    expect(await told('MNOPS_CALLBACK_FAILED')).toEqual([`The sampler failed: ${said}`]);
    await own.stop();
  });
});

describe('what a call does not use', () => {
  beforeEach(() => apm.start());
  const code = 'MNOPS_INPUT_IGNORED';

  it('is said once for each field of trace, and counted', async () => {
    for (let i = 0; i < 2; i += 1) {
      expect(
        loose.trace('x', { atributes: { a: 1 }, kind: 'servr', links: 'l', root: 'yes', parent: 3 }, () => 1),
      ).toBe(1);
      expect(loose.trace('x', { attributes: 'a' }, () => 1)).toBe(1);
      expect(loose.trace('x', { attributes: new Map([['a', 1]]) }, () => 1)).toBe(1);
    }
    const messages = await told(code);
    expect(messages).toContain(
      'trace does not use options.atributes: expected no such option, received an unknown name. Remove it. Did you mean `attributes`?',
    );
    expect(messages).toContain(
      "trace does not use options.kind: expected 'internal', 'server', 'client', 'producer' or 'consumer', received string. Change `options.kind` to 'internal', 'server', 'client', 'producer' or 'consumer'.",
    );
    const fields = messages.map((message) => /options\.(\w+):/.exec(message)?.[1]);
    expect(fields.sort()).toEqual(['atributes', 'attributes', 'kind', 'links', 'parent', 'root']);
    expect(apm.stats().ignoredInputs).toBe(6);
  });

  it('is said of a name that is no text and of work that is no function', async () => {
    expect(loose.trace('x', () => 1, { kind: 'server' })).toBeUndefined();
    expect(loose.trace('x')).toBeUndefined();
    expect(loose.trace(undefined, () => 2)).toBe(2);
    expect(loose.withContext(apm.extract({}), 'no function')).toBeUndefined();
    const messages = await told(code);
    expect(messages.map((message) => message.split(',')[0])).toEqual([
      'trace does not use run: expected a function',
      'trace does not use options: expected an object',
      'trace does not use name: expected string',
      'withContext does not use run: expected a function',
    ]);
  });

  it('is said of OpenTelemetry’s own options', async () => {
    loose.tracer.startSpan('x', { kind: 7, atributes: {} }).end();
    expect(loose.tracer.startActiveSpan('x', { attributs: {} }, () => 3)).toBe(3);
    apm.tracer.startSpan('x', { kind: 1, attributes: { a: 1 }, startTime: new Date(), links: [], root: true }).end();
    const messages = await told(code);
    expect(messages.map((message) => message.split(':')[0]).sort()).toEqual([
      'startActiveSpan does not use options.attributs',
      'startSpan does not use options.atributes',
      'startSpan does not use options.kind',
    ]);
  });

  it('is said of what stands in place of a context; the work runs, in a trace of its own', async () => {
    for (const context of [{}, 5, { getValue: () => 1 }]) {
      expect(loose.withContext(context, () => apm.trace('x', () => 1))).toBe(1);
      expect(loose.tracer.startActiveSpan('x', {}, context, () => apm.trace('y', () => 2))).toBe(2);
      loose.tracer.startSpan('x', {}, context).end();
    }
    expect(apm.stats()).toMatchObject({ ignoredInputs: 9, spans: { ended: 9 } });
    for (const context of [undefined, null]) {
      expect(loose.withContext(context, () => apm.trace('x', () => 1))).toBe(1);
      expect(loose.tracer.startActiveSpan('x', {}, context, () => 2)).toBe(2);
    }
    const messages = await told(code);
    expect(messages.map((message) => message.split(':')[0]).sort()).toEqual([
      'startActiveSpan does not use context',
      'startSpan does not use context',
      'withContext does not use context',
    ]);
    expect(apm.stats().ignoredInputs).toBe(9);
  });

  it('is a metric whose names cannot be read, which counts as rejected alone', async () => {
    const unlisted = new Proxy(
      { name: 'm', kind: 'gauge', value: 1 },
      {
        ownKeys: () => {
          throw new Error('unreadable');
        },
      },
    );
    loose.recordMetric(unlisted);
    expect(apm.stats().metrics).toMatchObject({ recorded: 0, rejected: 1 });
    expect(await told(code)).toHaveLength(1);
  });

  it('is said of metrics and their labels, each field once', async () => {
    const good = { name: 'm', kind: 'gauge', value: 1 };
    const odd: readonly unknown[] = [
      'm',
      { ...good, attributes: 'shop' },
      { ...good, attributes: { user: { id: 1 }, tags: ['a'], none: null, kept: 'x' } },
      { ...good, attributes: Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`l${index}`, 1])) },
      { ...good, labels: { a: 'b' } },
      { ...good, unit: 3 },
      { ...good, kind: 'gage' },
      { ...good, value: Number.NaN },
      { ...good, kind: 'counter', value: -1 },
      { ...good, at: 5 },
    ];
    for (const metric of [...odd, ...odd, good]) loose.recordMetric(metric);
    const messages = await told(code);
    const fields = messages.map((message) => message.replace(/^recordMetric does not use (.*?): .*$/, '$1'));
    expect(fields.sort()).toEqual(
      [
        'at',
        'attributes',
        'attributes.none',
        'attributes.tags',
        'attributes.user',
        'kind',
        'labels',
        'the options',
        'unit',
        'value',
      ].sort(),
    );
    expect(messages.find((message) => message.includes(' labels:'))).toContain(
      'Remove it. Known names: name, kind, value, unit, attributes, at.',
    );
    expect(apm.stats()).toMatchObject({ ignoredInputs: 20, metrics: { recorded: 11, rejected: 10 } });
  });

  it('is bounded, however many names there are, and quotes no value', async () => {
    for (let i = 0; i < 1_000; i += 1) loose.trace('x', { [`name${i}`]: 'c4nary' }, () => 1);
    const messages = await told(code);
    expect(messages).toHaveLength(20);
    expect(messages.join()).not.toContain('c4nary');
    expect(apm.stats().ignoredInputs).toBe(1_000);
  });

  it('is nothing where all is well, absent options included', async () => {
    apm.trace(
      'x',
      { kind: 'server', attributes: undefined, parent: undefined, links: undefined, root: undefined },
      () => 1,
    );
    apm.trace('x', { kind: 2, attributes: { a: 1 }, parent: { traceparent: 'x' }, links: [], root: false }, () => 1);
    loose.trace('x', null, () => 1);
    apm.recordMetric({
      name: 'm',
      kind: 'histogram',
      value: 1,
      unit: undefined,
      attributes: { a: 1, b: true },
      at: new Date(),
    });
    expect(await told(code)).toEqual([]);
    expect(apm.stats().ignoredInputs).toBe(0);
  });
});
