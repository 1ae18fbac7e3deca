import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Span } from '@mnops/core/spi';
import type { LogRecord, MetricRole, MetricSeries } from '../../analysis/root-cause/inputs.js';
import { csvRows } from './csv.js';

/** One injected fault with all that was recorded around it. */
export interface NezhaCase {
  readonly name: string;
  readonly kind: string;
  /** Service of the pod that the fault was injected into. */
  readonly cause: string;
  /** When it was injected, epoch milliseconds. */
  readonly atMs: number;
  /** Traces of the fault-free stretch of the same day. */
  readonly calm: readonly Span[];
  /** Traces of the minute of the injection, from its begin on, and of the two after it. */
  readonly around: readonly Span[];
  readonly logs: readonly LogRecord[];
  readonly metrics: readonly MetricSeries[];
}

type Writable = { -readonly [Key in keyof Span]: Span[Key] };

interface Fault {
  readonly inject_time: string;
  readonly inject_timestamp: string;
  readonly inject_pod: string;
  readonly inject_type: string;
}

/** Whether a folder is laid out as the set is. */
export function isNezha(folder: string): boolean {
  return existsSync(join(folder, 'rca_data')) && existsSync(join(folder, 'construct_data'));
}

/** Reads the faults of every day in the folder, one after the other, so that one case is in memory at a time. */
export function* nezhaCases(folder: string): Iterable<NezhaCase> {
  const root = join(folder, 'rca_data');
  for (const day of readdirSync(root).sort()) {
    const lists = readdirSync(join(root, day)).filter((file) => file.endsWith('fault_list.json'));
    if (lists.length === 0) continue;
    const calmDay = calmFolder(folder, day);
    const calm = files(join(calmDay, 'trace')).flatMap(readTraces);
    const calmLogs = files(join(calmDay, 'log')).flatMap(readLogs);
    const metrics = joined(
      [calmDay, join(root, day)].flatMap((from) => files(join(from, 'metric')).flatMap(readMetrics)),
    );
    const traceFiles = files(join(root, day, 'trace'));
    const logFiles = files(join(root, day, 'log'));
    for (const list of lists) {
      const faults = Object.values(JSON.parse(readFileSync(join(root, day, list), 'utf8')) as Record<string, Fault[]>);
      for (const fault of faults.flat()) {
        const minutes = [0, 1, 2].map((more) => minuteOf(fault.inject_time, more));
        const within = (file: string): boolean => minutes.some((minute) => nameOf(file).startsWith(minute));
        yield {
          name: `${fault.inject_time} ${fault.inject_type}`,
          kind: fault.inject_type,
          cause: serviceOf(fault.inject_pod),
          atMs: Number(fault.inject_timestamp) * 1_000,
          calm,
          around: traceFiles.filter(within).flatMap(readTraces),
          logs: [...calmLogs, ...logFiles.filter(within).flatMap(readLogs)],
          metrics,
        };
      }
    }
  }
}

function calmFolder(folder: string, day: string): string {
  const root = join(folder, 'construct_data');
  const days = readdirSync(root).filter((name) => existsSync(join(root, name, 'trace')));
  const nearest = days.sort(
    (a, b) => Math.abs(Date.parse(a) - Date.parse(day)) - Math.abs(Date.parse(b) - Date.parse(day)),
  );
  return join(root, nearest[0] ?? day);
}

function files(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => /_(trace|log|metric)\.csv(\.gz)?$/.test(name));
  return names.sort().map((name) => join(folder, name));
}

function nameOf(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1);
}

function minuteOf(time: string, more: number): string {
  const at = new Date(Date.parse(`${time.replace(' ', 'T')}Z`) + more * 60_000);
  return `${two(at.getUTCHours())}_${two(at.getUTCMinutes())}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function textOf(file: string): string {
  const bytes = readFileSync(file);
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
}

/** A pod is named after its service, its revision and a random end. */
function serviceOf(pod: string): string {
  return pod.split('-').slice(0, -2).join('-');
}

/** Reads one minute of traces. The files do not say a span's kind: one that comes from another service is a server. */
export function readTraces(file: string): Span[] {
  const resources = new Map<string, Span['resource']>();
  const spans: Writable[] = [];
  for (const line of textOf(file).split('\n').slice(1)) {
    const [traceId = '', spanId = '', parent, pod = '', name = '', start = '0', end = '0', duration] = line.split(',');
    if (duration === undefined) continue;
    const resource = resources.get(pod) ?? { 'service.name': serviceOf(pod), 'service.instance.id': pod };
    resources.set(pod, resource);
    const startTimeUnixNano = BigInt(start);
    const length = BigInt(end) - startTimeUnixNano;
    spans.push({
      traceId,
      spanId,
      ...(parent === 'root' ? {} : { parentSpanId: parent }),
      traceFlags: 1,
      name,
      kind: 'internal',
      startTimeUnixNano,
      durationNano: length > 0n ? length : 0n,
      status: { code: 'unset' },
      attributes: {},
      events: [],
      links: [],
      dropped: { attributes: 0, events: 0, links: 0 },
      resource,
      scope: { name: '' },
    });
  }
  const byId = new Map(spans.map((span) => [`${span.traceId}${span.spanId}`, span]));
  for (const span of spans) {
    const parent = byId.get(`${span.traceId}${span.parentSpanId}`);
    if (parent?.resource['service.name'] === span.resource['service.name']) continue;
    span.kind = 'server';
    if (parent !== undefined) parent.kind = 'client';
  }
  return spans;
}

function readLogs(file: string): LogRecord[] {
  const records: LogRecord[] = [];
  for (const [, nanos, , pod, , traceId, spanId, log] of csvRows(textOf(file)).slice(1)) {
    if (nanos === undefined || pod === undefined || log === undefined) continue;
    records.push({ service: serviceOf(pod), atMs: Number(nanos) / 1e6, message: messageOf(log), traceId, spanId });
  }
  return records;
}

function messageOf(log: string): string {
  try {
    const parsed = JSON.parse(log) as { readonly log?: unknown };
    return typeof parsed.log === 'string' ? parsed.log.trimEnd() : log;
  } catch {
    return log;
  }
}

/** What a column means, by the words that the set uses for it; columns of the node and of calls that the pod makes do not speak of its own work. */
function roleOf(column: string): MetricRole | undefined {
  if (column.startsWith('Node') || column.startsWith('PodClient')) return undefined;
  if (/latency/i.test(column)) return 'latency';
  if (/success/i.test(column)) return 'success';
  if (/workload/i.test(column)) return 'traffic';
  return /usage/i.test(column) ? 'usage' : undefined;
}

function readMetrics(file: string): MetricSeries[] {
  const [header = [], ...rows] = csvRows(textOf(file));
  const [timeColumn, podColumn] = [header.indexOf('TimeStamp'), header.indexOf('PodName')];
  const pod = rows[0]?.[podColumn] ?? '';
  return header.flatMap((name, index) => {
    const role = roleOf(name);
    if (role === undefined) return [];
    const points = rows.map((row) => ({ atMs: Number(row[timeColumn]) * 1_000, value: Number(row[index] || 'NaN') }));
    return [{ service: serviceOf(pod), name, role, instance: pod, points }];
  });
}

/** Series of the same metric and pod from several files as one; the files of a day may repeat each other's rows. */
function joined(series: readonly MetricSeries[]): MetricSeries[] {
  const byKey = new Map<string, MetricSeries>();
  for (const one of series) {
    const key = `${one.instance} ${one.name}`;
    const known = byKey.get(key);
    if (known === undefined) {
      byKey.set(key, one);
      continue;
    }
    const points = new Map([...known.points, ...one.points].map((point) => [point.atMs, point]));
    byKey.set(key, { ...known, points: [...points.values()].sort((a, b) => a.atMs - b.atMs) });
  }
  return [...byKey.values()];
}
