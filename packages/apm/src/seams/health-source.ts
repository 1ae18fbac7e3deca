import type { HealthReport, HealthSource } from '@mnops/core/spi';
import type { PerformanceAnomaly } from '../analysis/anomaly.js';

/** Judges a system by its open anomalies: a critical one is `unhealthy`, any other `degraded`. */
export function anomalyHealthSource(anomalies: () => readonly PerformanceAnomaly[], now: () => number): HealthSource {
  return {
    specVersion: 1,
    kind: 'health-source',
    id: 'apm',
    async check(): Promise<HealthReport> {
      const open = anomalies();
      const critical = open.some(({ severity }) => severity === 'critical');
      const status = critical ? 'unhealthy' : open.length > 0 ? 'degraded' : 'healthy';
      return { status, reasons: open.map(sentenceOf), atMs: now() };
    },
  };
}

/** One sentence that says what is unusual. */
export function sentenceOf(anomaly: PerformanceAnomaly): string {
  const { service, operation, observed, expected } = anomaly;
  const where = `${service} ${operation}`;
  switch (anomaly.statistic) {
    case 'error-share':
      return `${where}: ${percent(observed)} of the calls fail, usual is ${percent(expected.value)}.`;
    case 'calls-per-second':
      return `${where}: ${figure(observed)} calls per second, usual is ${figure(expected.value)}.`;
    case 'value':
      return `${where} is ${figure(observed)}, usual is ${figure(expected.value)}.`;
    default: {
      const name = anomaly.statistic === 'p50' ? 'median' : 'P90';
      return `${where}: the ${name} is ${figure(observed)} ms, usual is ${figure(expected.value)} ms.`;
    }
  }
}

function percent(share: number): string {
  return `${figure(share * 100)} %`;
}

function figure(value: number): string {
  return String(Number(value.toPrecision(3)));
}
