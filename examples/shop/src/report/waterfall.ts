import type { RecoveryFigures, TracedWork } from './report-data.js';
import { duration, escapeHtml } from './svg.js';

/** The spans of one trace as bars over time. */
export function waterfall(trace: TracedWork): string {
  const total = Math.max(1, ...trace.spans.map(({ startMs, durationMs }) => startMs + durationMs));
  const rows = trace.spans.map(({ name, service, version, depth, startMs, durationMs, error }) => {
    const label = `<span class="span-name" style="padding-left:${depth * 14}px"><b>${escapeHtml(service)}</b> <small>${escapeHtml(version)}</small> ${escapeHtml(name)}</span>`;
    const bar = `<span class="track"><i class="${error ? 'bad' : ''}" style="left:${(startMs / total) * 100}%;width:${Math.max(0.6, (durationMs / total) * 100)}%"></i></span>`;
    return `<li>${label}${bar}<span class="took">${duration(durationMs)}</span></li>`;
  });
  const line = trace.logLine === undefined ? '' : `<p>Log line <code>${escapeHtml(trace.logLine)}</code></p>`;
  return `${line}<p>Trace <code>${escapeHtml(trace.traceId)}</code></p><ol class="waterfall">${rows.join('')}</ol>`;
}

/** Phases of a drill or a recovery, and how its figures compare with the tier. */
export function recovery({ title, rtoMs, rpoMs, targetRtoMs, targetRpoMs, phases }: RecoveryFigures): string {
  const total = Math.max(
    1,
    phases.reduce((sum, { durationMs }) => sum + durationMs, 0),
  );
  const bars = phases
    .map(
      ({ name, durationMs }, index) =>
        `<i class="phase-${index % 5}" style="width:${(durationMs / total) * 100}%" title="${escapeHtml(name)}: ${duration(durationMs)}"></i>`,
    )
    .join('');
  const names = phases.map(
    ({ name, durationMs }, index) =>
      `<span class="key"><i class="phase-${index % 5}"></i>${escapeHtml(name)} ${duration(durationMs)}</span>`,
  );
  const verdict = (value: number, target: number): string =>
    `<b class="${value <= target ? 'good' : 'bad'}">${duration(value)}</b> <small>of ${duration(target)}</small>`;
  return `<div class="recovery"><h3>${escapeHtml(title)}</h3><p class="figures"><span>RTO ${verdict(rtoMs, targetRtoMs)}</span><span>RPO ${verdict(rpoMs, targetRpoMs)}</span></p><div class="phases">${bars}</div><p class="keys">${names.join('')}</p></div>`;
}
