import type { AlertSpan, Mark, ReportData } from './report-data.js';
import { duration, escapeHtml, figure, ticks } from './svg.js';

const width = 960;
const left = 56;
const right = 16;
const top = 44;

interface Line {
  readonly name: string;
  readonly className: string;
  readonly points: readonly { readonly atMs: number; readonly value: number }[];
}

interface Frame {
  readonly fromMs: number;
  readonly toMs: number;
  x(atMs: number): number;
}

function frameOf(data: ReportData): Frame {
  const fromMs = data.load[0]?.atMs ?? data.startedAtMs;
  const toMs = Math.max(fromMs + 1_000, data.load.at(-1)?.atMs ?? data.endedAtMs);
  return { fromMs, toMs, x: (atMs) => left + ((atMs - fromMs) / (toMs - fromMs)) * (width - left - right) };
}

/** Latency and errors as the load saw them, with the events of the story. */
export function loadCharts(data: ReportData): string {
  const frame = frameOf(data);
  const windows = joinFigures(data);
  const latency = lineChart(frame, data.marks, 'Latency as the client saw it', 'ms', [
    { name: 'p99', className: 'line-b', points: windows.map(({ atMs, p99 }) => ({ atMs, value: p99 })) },
    { name: 'p50', className: 'line-a', points: windows.map(({ atMs, p50 }) => ({ atMs, value: p50 })) },
  ]);
  const errors = lineChart(frame, data.marks, 'Requests per second', '/s', [
    { name: 'answered', className: 'line-a', points: windows.map(({ atMs, ok }) => ({ atMs, value: ok })) },
    { name: 'failed', className: 'line-bad', points: windows.map(({ atMs, failed }) => ({ atMs, value: failed })) },
  ]);
  return latency + errors;
}

/** Figures of half a second each, so that one slow answer does not draw a comb. */
function joinFigures(data: ReportData): { atMs: number; p50: number; p99: number; ok: number; failed: number }[] {
  const joined = [];
  for (let index = 0; index + 1 < data.load.length; index += 2) {
    const pair = data.load.slice(index, index + 2);
    const latencies = pair.flatMap(({ latenciesMs }) => latenciesMs).sort((one, other) => one - other);
    const sum = (pick: (figures: (typeof pair)[0]) => number): number =>
      pair.reduce((total, one) => total + pick(one), 0);
    const before = data.load[index - 1]?.atMs ?? (pair[0]?.atMs ?? 0) - 250;
    const seconds = Math.max(0.1, ((pair.at(-1)?.atMs ?? 0) - before) / 1_000);
    joined.push({
      atMs: pair.at(-1)?.atMs ?? 0,
      p50: latencies[Math.floor(latencies.length * 0.5)] ?? 0,
      p99: latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * 0.99))] ?? 0,
      ok: sum(({ ok }) => ok) / seconds,
      failed: sum(({ serverErrors, dropped }) => serverErrors + dropped) / seconds,
    });
  }
  return joined;
}

function lineChart(frame: Frame, marks: readonly Mark[], title: string, unit: string, lines: readonly Line[]): string {
  const height = 260;
  const bottom = 28;
  const max = Math.max(1, ...lines.flatMap(({ points }) => points.map(({ value }) => value)));
  const steps = ticks(max);
  const y = (value: number): number => height - bottom - (value / (steps.at(-1) ?? max)) * (height - bottom - top);
  const grid = steps.map(
    (step) =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(step)}" y2="${y(step)}"/><text class="axis" x="${left - 8}" y="${y(step) + 4}" text-anchor="end">${figure(step)}</text>`,
  );
  const paths = lines.map(({ className, points }) => {
    const path = points.map(
      ({ atMs, value }, index) => `${index === 0 ? 'M' : 'L'}${frame.x(atMs).toFixed(1)} ${y(value).toFixed(1)}`,
    );
    return `<path class="${className}" d="${path.join('')}"/>`;
  });
  const legend = lines
    .map(({ name, className }) => `<span class="key"><i class="${className}"></i>${name}</span>`)
    .join('');
  return `<figure><figcaption><b>${escapeHtml(title)}</b> <small>${escapeHtml(unit)}</small> ${legend}</figcaption><div class="scroll"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">${grid.join('')}${markLines(frame, marks, height - bottom)}${paths.join('')}${timeAxis(frame, height)}</svg></div></figure>`;
}

/** Numbered lines; the list under the charts says what each stands for. */
function markLines(frame: Frame, marks: readonly Mark[], bottom: number): string {
  let lastX = Number.NEGATIVE_INFINITY;
  let row = 0;
  return marks
    .map(({ atMs, label, kind }, index) => {
      const x = Math.min(width - right, Math.max(left, frame.x(atMs)));
      row = x - lastX < 18 ? (row + 1) % 2 : 0;
      lastX = x;
      const y = 12 + row * 18;
      return `<g class="mark ${kind}"><title>${escapeHtml(label)}</title><line x1="${x}" x2="${x}" y1="${y + 8}" y2="${bottom}"/><circle cx="${x}" cy="${y}" r="8"/><text x="${x}" y="${y + 4}" text-anchor="middle">${index + 1}</text></g>`;
    })
    .join('');
}

function timeAxis(frame: Frame, height: number): string {
  const seconds = (frame.toMs - frame.fromMs) / 1_000;
  return ticks(seconds, 8)
    .filter((step) => step <= seconds)
    .map(
      (step) =>
        `<text class="axis" x="${frame.x(frame.fromMs + step * 1_000)}" y="${height - 8}" text-anchor="middle">${figure(step)} s</text>`,
    )
    .join('');
}

/** When each alert was pending and when it fired. */
export function alertTimeline(data: ReportData): string {
  if (data.alerts.length === 0) return '<p class="none">No alert became active.</p>';
  const frame = frameOf(data);
  const rowHeight = 34;
  const height = 24 + data.alerts.length * rowHeight + 28;
  const rows = data.alerts.map((alert, index) => alertRow(frame, alert, 20 + index * rowHeight));
  return `<div class="scroll"><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Alert timeline">${rows.join('')}${timeAxis(frame, height)}</svg></div>`;
}

function alertRow(frame: Frame, alert: AlertSpan, y: number): string {
  const end = alert.resolvedMs ?? frame.toMs;
  const bar = (className: string, fromMs: number, toMs: number): string =>
    `<rect class="${className}" x="${frame.x(fromMs)}" y="${y + 12}" width="${Math.max(3, frame.x(toMs) - frame.x(fromMs))}" height="10" rx="3"/>`;
  const pending = bar('pending', alert.pendingMs, alert.firedMs ?? end);
  const firing = alert.firedMs === undefined ? '' : bar(`firing ${alert.severity}`, alert.firedMs, end);
  const label = `${alert.alert}: ${alert.summary}${alert.resolvedMs === undefined ? '' : `, resolved after ${duration(alert.resolvedMs - (alert.firedMs ?? alert.pendingMs))}`}`;
  return `<text class="row" x="${left}" y="${y + 6}">${escapeHtml(label)}</text>${pending}${firing}`;
}
