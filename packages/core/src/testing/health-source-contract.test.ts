import { describe, expect, it } from 'vitest';
import { httpClient } from '../http/index.js';
import type { HealthReport } from '../spi/base.js';
import type { HealthSource } from '../spi/health-source.js';
import { failingCases } from './failing-cases.js';
import { faultServer } from './fault-server.js';
import { type HealthSourceSubject, healthSourceContract } from './health-source-contract.js';

type Check = HealthSource['check'];

/** Asks a server how it is; the rules that a test breaks are in `change`. */
async function subject(
  change: (report: HealthReport) => HealthReport = (report) => report,
  wrap?: (check: Check) => Check,
) {
  const server = await faultServer();
  const client = httpClient();
  let well = true;
  server.handler(() => ({ status: well ? 200 : 500 }));
  const check: Check = async (call) => {
    const atMs = Date.now();
    try {
      const { status } = await client.request({ url: server.url, signal: call.signal });
      if (status === 200) return change({ status: 'healthy', reasons: [], atMs, parts: {} });
      return change({ status: 'unhealthy', reasons: [`It answered ${status}.`], atMs });
    } catch (error) {
      if (call.signal.aborted) throw error;
      return change({ status: 'unknown', reasons: ['It could not be asked.'], atMs });
    }
  };
  const made: HealthSourceSubject = {
    provider: { specVersion: 1, kind: 'health-source', id: 'reference', check: wrap?.(check) ?? check },
    faults: server,
    become: (status) => {
      well = status === 'healthy';
    },
    obstruct: () => server.close(),
    close: async () => {
      await client.close();
      await server.close();
    },
  };
  return made;
}

healthSourceContract({ describe, it }, 'a probe over HTTP', () => subject());
healthSourceContract({ describe, it }, 'a constant', async () => ({
  provider: {
    specVersion: 1,
    kind: 'health-source',
    id: 'constant',
    check: async () => ({ status: 'healthy', reasons: [], atMs: Date.now() }),
  },
}));

describe('healthSourceContract catches a source that', () => {
  const whole = 'gives a whole report';
  const anew = 'judges anew at each call';
  const changed = 'says what changed, with reasons';
  const unknown = 'reports unknown when it cannot judge';
  const breaks = 'does not reject when its back end breaks';
  const aborted = 'ends at once when the call is aborted';
  const cases: [string, (report: HealthReport) => HealthReport, ((check: Check) => Check) | undefined, string[]][] = [
    ['gives no reason', (report) => ({ ...report, reasons: [] }), undefined, [changed, unknown, breaks]],
    ['gives a reason to be healthy', (report) => ({ ...report, reasons: ['fine'] }), undefined, [whole, changed]],
    [
      'invents a status',
      (report) => ({ ...report, status: 'fine' as never }),
      undefined,
      [whole, changed, unknown, breaks],
    ],
    [
      'has half a part',
      (report) => ({ ...report, parts: { a: { status: 'healthy', reasons: ['x'], atMs: 1 } } }),
      undefined,
      [whole, changed, unknown, breaks],
    ],
    [
      'says nothing of time',
      (report) => ({ ...report, atMs: Number.NaN }),
      undefined,
      [whole, anew, changed, unknown, breaks],
    ],
    [
      'takes silence for illness',
      (report) => ({ ...report, status: report.status === 'unknown' ? 'unhealthy' : report.status }),
      undefined,
      [unknown],
    ],
    [
      'rejects when it cannot judge',
      (report) => {
        if (report.status === 'unknown') throw new Error('cannot judge');
        return report;
      },
      undefined,
      [unknown, breaks],
    ],
    [
      'does not listen to aborts',
      (report) => report,
      (check) => (call) => check({ ...call, signal: new AbortController().signal }),
      [aborted],
    ],
    [
      'remembers its first report',
      (report) => report,
      (check) => {
        let first: Promise<HealthReport> | undefined;
        return (call) => {
          first ??= check(call);
          return first;
        };
      },
      [changed],
    ],
  ];
  it.each(cases)('%s', async (_, change, wrap, expected) => {
    const failing = await failingCases((runner) => healthSourceContract(runner, 'broken', () => subject(change, wrap)));
    expect(failing).toEqual(expected);
  });
});
