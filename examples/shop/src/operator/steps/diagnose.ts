import type { PerformanceAnomaly } from '@mnops/apm';
import { callOf } from '@mnops/core';
import type { ReportData, TracedWork } from '../../report/report-data.js';
import { spanRows } from '../observed-trace.js';
import type { Observer } from '../observer.js';
import type { Shop } from '../shop.js';
import type { StepContext } from '../step.js';
import { pause, until } from '../wait.js';
import type { Release } from './release.js';

/** Finds what is unusual and who is to blame, from the traces alone. */
export async function nameTheCause(
  shop: Shop,
  observer: Observer,
  release: Release,
  { expect, say }: StepContext,
): Promise<ReportData['rootCause']> {
  const found = (): Observer['anomalies'] =>
    observer.anomalies.filter(({ foundAtMs }) => foundAtMs >= release.startedMs);
  await until(() => found().length > 0, 10_000);
  const unusual = found().find(({ anomaly }) => anomaly.service === 'catalog') ?? found()[0];
  expect(
    'an anomaly was found',
    unusual !== undefined,
    unusual === undefined
      ? 'none'
      : `${described(unusual.anomaly)}, ${((unusual.foundAtMs - release.startedMs) / 1_000).toFixed(1)} s after the release began`,
  );
  const from = new Date(release.startedMs);
  const to = new Date(release.endedMs);
  // The last spans are on their way for some time: the traces are compared once those of all failures are there.
  const failures = async (): Promise<number> => {
    let traces = 0;
    for await (const trace of shop.apm.findTraces({ service: 'catalog', error: true, from, to, limit: 10_000 })) {
      if (trace.complete) traces++;
    }
    return traces;
  };
  await until(async () => (await failures()) >= release.failed, 10_000, 250);
  const traced = await failures();
  expect('every failure that a client saw left a whole trace', traced >= release.failed, `${traced} traces`);
  // The release is what changed, so its beginning parts the traces: normal is what was before it.
  const normal = { from: new Date(shop.load.figures[0]?.atMs ?? 0), to: from };
  const report = await shop.apm.findRootCause({ at: from, normal, faulty: { from, to } });
  const [first, ...others] = report.candidates;
  const title =
    first === undefined ? 'none' : [first.service, first.version].filter((part) => part !== undefined).join(' ');
  expect(
    'the root cause is the new version of the catalog',
    first?.service === 'catalog' && first.version === '2.0.0',
    `${title}, from ${report.traces.normal} traces before and ${report.traces.faulty} after`,
  );
  for (const { text } of first?.evidence ?? []) say(text);
  expect('with evidence', (first?.evidence.length ?? 0) > 0, first?.evidence[0]?.text ?? 'none');
  if (first === undefined) return undefined;
  return {
    title,
    evidence: first.evidence.map(({ text }) => text),
    others: others.map(
      ({ service, version, score }) => `${service}${version === undefined ? '' : ` ${version}`} (${score.toFixed(2)})`,
    ),
  };
}

/** What was unusual about what, in words. */
function described({ signal, service, operation, observed, expected }: PerformanceAnomaly): string {
  const shown = (value: number): string => {
    if (signal === 'errors') return `${(100 * value).toPrecision(2)} %`;
    return signal === 'duration' ? `${value.toPrecision(3)} ms` : value.toPrecision(3);
  };
  return `${signal} of ${service} ${operation}: ${shown(observed)} instead of ${shown(expected.value)}`;
}

/** A good release must raise nothing: the judgement of silence. */
export async function expectSilence(
  shop: Shop,
  observer: Observer,
  { startedMs }: Release,
  { expect }: StepContext,
): Promise<void> {
  // What began in the last moments of the release would be found within this time.
  await pause(6_000);
  const anomalies = observer.anomalies.filter(({ foundAtMs }) => foundAtMs >= startedMs);
  const all = anomalies.map(({ anomaly }) => described(anomaly)).join(', ');
  expect('no anomaly was found', anomalies.length === 0, anomalies.length === 0 ? '0' : all);
  const alerts = observer.alertsFired(startedMs);
  expect(
    'no alert fired',
    alerts.length === 0,
    alerts.length === 0 ? '0' : alerts.map(({ summary }) => summary).join(', '),
  );
  expect(
    'nothing crashed',
    observer.crashes.length === 0,
    observer.crashes.length === 0 ? '0' : observer.crashes.join(', '),
  );
  const [served, failed] = [await requests(shop, startedMs), await requests(shop, startedMs, '5xx')];
  expect('the metrics of the proxy agree', served > 0 && failed === 0, `${failed} of ${served} calls failed`);
}

/** Calls to the catalog since a moment, as the proxy counted them. */
async function requests({ orchestration }: Shop, fromMs: number, status?: '5xx'): Promise<number> {
  const call = callOf({ timeoutMs: 2_000 });
  const match = { service: 'catalog', ...(status === undefined ? {} : { status_class: status }) };
  const windowMs = Date.now() - fromMs;
  const selection = { metric: 'http_server_request_duration_seconds', reduce: 'count', windowMs, match } as const;
  const series = await orchestration.metricSource.query(selection, call);
  call.end();
  return series.reduce((sum, { value }) => sum + value, 0);
}

/** Follows one failing request from its log line to its trace. */
export async function followRequest(
  shop: Shop,
  { startedMs }: Release,
  { expect, say }: StepContext,
): Promise<TracedWork | undefined> {
  const search = () =>
    shop.logs.search({ from: new Date(startedMs), level: 'error', where: { service: 'catalog' }, limit: 20 });
  await until(async () => (await search()).entries.length > 0, 10_000, 200);
  const { entries } = await search();
  expect(
    'the failure stands in the logs',
    entries.length > 0,
    entries.length === 0 ? 'no line' : `${entries.length}${entries.length === 20 ? ' or more' : ''} lines`,
  );
  for (const entry of entries) {
    if (entry.traceId === undefined) continue;
    const { traceId } = entry;
    await until(async () => (await shop.apm.getTrace(traceId))?.complete === true, 4_000, 100);
    const trace = await shop.apm.getTrace(traceId);
    if (trace === undefined || !trace.complete) continue;
    say(`${entry.message} (trace ${traceId})`);
    const services = trace.services.join(', ');
    expect(
      'its trace shows the way through all services',
      ['gateway', 'catalog', 'orders'].every((name) => trace.services.includes(name)),
      services,
    );
    const failing = trace.spans
      .filter(({ status }) => status.code === 'error')
      .map((span) => String(span.resource['service.version']));
    expect('it failed in version 2.0.0', failing.includes('2.0.0'), `${failing.length} failing spans`);
    const thrown = entry.attributes['exception.message'];
    const logLine = `${entry.level} ${entry.message}${typeof thrown === 'string' ? `: ${thrown}` : ''}`;
    return { title: 'One failing request', traceId, logLine, spans: spanRows(trace) };
  }
  expect('one of them leads to a whole trace', false, 'none does');
  return undefined;
}
