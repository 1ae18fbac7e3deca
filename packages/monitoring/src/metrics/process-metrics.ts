import { readdirSync, readFileSync } from 'node:fs';
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import type { MetricRegistry } from './registry.js';

/** Options of the process metrics. */
export interface ProcessMetricsOptions {
  /** Resolution of the event-loop delay in milliseconds. Default 100, which costs well under 0.1 % of a core. */
  readonly eventLoopResolutionMs?: number | undefined;
}

const collectionKinds: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

/**
 * Adds metrics of this process, with the names that dashboards for Node know: CPU, memory, open files, event-loop
 * delay, garbage collection, version. Open files and virtual memory need Linux.
 *
 * @returns `stop()` ends the observers and removes the collector; the last figures stay.
 */
export function processMetrics(registry: MetricRegistry, options: ProcessMetricsOptions = {}): { stop(): void } {
  const delay = monitorEventLoopDelay({ resolution: options.eventLoopResolutionMs ?? 100 });
  delay.enable();
  const observer = observeCollections(registry);
  const readCpu = cpuCounters(registry);
  const readMemory = memoryGauges(registry);
  const readDelay = delayGauges(registry, delay);
  registry
    .gauge({ name: 'process_start_time_seconds', help: 'Start of the process, seconds since the Unix epoch.' })
    .set(Math.round(Date.now() / 1_000 - process.uptime()));
  const [major = '', minor = '', patch = ''] = process.versions.node.split('.');
  registry
    .gauge({
      name: 'nodejs_version_info',
      help: 'Version of Node; always 1.',
      labels: ['version', 'major', 'minor', 'patch'],
    })
    .set({ version: process.version, major, minor, patch }, 1);
  const collector = registry.collect('process', () => {
    readCpu();
    readMemory();
    readDelay();
  });
  return {
    stop: () => {
      delay.disable();
      observer.disconnect();
      collector.remove();
    },
  };
}

function cpuCounters(registry: MetricRegistry): () => void {
  const user = registry.counter({ name: 'process_cpu_user_seconds_total', help: 'User CPU time.' });
  const system = registry.counter({ name: 'process_cpu_system_seconds_total', help: 'System CPU time.' });
  const total = registry.counter({ name: 'process_cpu_seconds_total', help: 'User and system CPU time.' });
  let before = { user: 0, system: 0 };
  return () => {
    const now = process.cpuUsage();
    const userSeconds = Math.max(0, now.user - before.user) / 1e6;
    const systemSeconds = Math.max(0, now.system - before.system) / 1e6;
    user.inc(userSeconds);
    system.inc(systemSeconds);
    total.inc(userSeconds + systemSeconds);
    before = now;
  };
}

function memoryGauges(registry: MetricRegistry): () => void {
  const gauge = (name: string, help: string): ((value: number) => void) => {
    const handle = registry.gauge({ name, help }).with({});
    return (value) => handle.set(value);
  };
  const resident = gauge('process_resident_memory_bytes', 'Resident memory.');
  const heapTotal = gauge('nodejs_heap_size_total_bytes', 'Heap that V8 has reserved.');
  const heapUsed = gauge('nodejs_heap_size_used_bytes', 'Heap in use.');
  const external = gauge('nodejs_external_memory_bytes', 'Memory of objects bound to V8, buffers included.');
  const resources = gauge('nodejs_active_resources_total_count', 'Resources that keep the event loop alive.');
  const linux =
    process.platform === 'linux'
      ? {
          virtual: gauge('process_virtual_memory_bytes', 'Virtual memory.'),
          open: gauge('process_open_fds', 'Open file descriptors.'),
          limit: gauge('process_max_fds', 'Limit of open file descriptors.'),
        }
      : undefined;
  const maxOpen = linux === undefined ? undefined : openFileLimit();
  return () => {
    const usage = process.memoryUsage();
    resident(usage.rss);
    heapTotal(usage.heapTotal);
    heapUsed(usage.heapUsed);
    external(usage.external);
    resources(process.getActiveResourcesInfo().length);
    if (linux === undefined) return;
    linux.virtual(virtualBytes());
    // The listing itself holds one descriptor.
    linux.open(readdirSync('/proc/self/fd').length - 1);
    if (maxOpen !== undefined) linux.limit(maxOpen);
  };
}

function virtualBytes(): number {
  const kib = /^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib ?? 0) * 1_024;
}

function openFileLimit(): number | undefined {
  const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === undefined || soft === 'unlimited' ? undefined : Number(soft);
}

function delayGauges(registry: MetricRegistry, delay: ReturnType<typeof monitorEventLoopDelay>): () => void {
  const seconds = registry.gauge({
    name: 'nodejs_eventloop_lag_quantile_seconds',
    help: 'Delay of the event loop since the scrape before.',
    unit: 'seconds',
    labels: ['quantile'],
  });
  const handles = [0.5, 0.9, 0.99].map((quantile) => ({ quantile, handle: seconds.with({ quantile }) }));
  const max = registry.gauge({
    name: 'nodejs_eventloop_lag_max_seconds',
    help: 'Longest delay of the event loop since the scrape before.',
    unit: 'seconds',
  });
  return () => {
    for (const { quantile, handle } of handles) handle.set(delay.percentile(quantile * 100) / 1e9);
    max.set(delay.max / 1e9);
    delay.reset();
  };
}

function observeCollections(registry: MetricRegistry): PerformanceObserver {
  const durations = registry.histogram({
    name: 'nodejs_gc_duration_seconds',
    help: 'Pauses for garbage collection, by kind.',
    unit: 'seconds',
    labels: ['kind'],
    buckets: [0.001, 0.01, 0.1, 1, 2, 5],
  });
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const kind = (entry as unknown as { detail?: { kind?: number } }).detail?.kind ?? -1;
      durations.observe({ kind: collectionKinds[kind] ?? 'other' }, entry.duration / 1_000);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return observer;
}
