import { alertTimeline, loadCharts } from './charts.js';
import type { ReportData } from './report-data.js';
import { serviceMap } from './service-map.js';
import { styles } from './styles.js';
import { duration, escapeHtml, figure } from './svg.js';
import { recovery, waterfall } from './waterfall.js';

/** The whole page: one file, no script, nothing fetched. */
export function reportPage(data: ReportData): string {
  const title = data.variant === 'faulty' ? 'A bad release, caught and rolled back' : 'A good release, promoted';
  const sections = [
    section('The run', loadCharts(data) + marks(data)),
    section('Alerts', alertTimeline(data)),
    section('Root cause', rootCause(data)),
    ...data.traces.map((trace) => section(trace.title, waterfall(trace))),
    section('Service map', serviceMap(data)),
    section('Recovery', data.recoveries.map(recovery).join('')),
    section('Every step', steps(data)),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>MNOps shop: ${escapeHtml(title)}</title><style>${styles}</style></head>
<body><header><p class="brand">MNOps shop</p><h1>${escapeHtml(title)}</h1>${summary(data)}</header><main>${sections.join('')}</main>
<footer>Made ${escapeHtml(new Date(data.endedAtMs).toISOString())} by <code>npm run demo${data.variant === 'healthy' ? ' -- --healthy' : ''}</code>. All figures were measured in this run.</footer></body></html>
`;
}

function section(title: string, body: string): string {
  return `<section><h2>${escapeHtml(title)}</h2>${body}</section>`;
}

function summary(data: ReportData): string {
  const sum = (pick: (figures: ReportData['load'][0]) => number): number =>
    data.load.reduce((total, one) => total + pick(one), 0);
  const seconds = Math.max(1, ((data.load.at(-1)?.atMs ?? 0) - (data.load[0]?.atMs ?? 0)) / 1_000);
  const tile = (value: string, label: string, className = ''): string =>
    `<div class="tile ${className}"><b>${escapeHtml(value)}</b><span>${escapeHtml(label)}</span></div>`;
  const assertions = data.steps.flatMap((step) => step.assertions);
  const held = assertions.filter((one) => one.held).length;
  const real = data.recoveries.at(-1);
  return `<div class="tiles">${tile(`${held} of ${assertions.length}`, 'promises held', data.held ? 'good' : 'bad')}${tile(figure(sum(({ sent }) => sent)), `requests, ${figure(sum(({ ok }) => ok) / seconds)}/s answered`)}${tile(duration(data.endedAtMs - data.startedAtMs), 'whole run')}${real === undefined ? '' : tile(duration(real.rtoMs), 'to recover destroyed data')}</div>`;
}

function marks(data: ReportData): string {
  const items = data.marks.map(
    ({ label, kind }, index) => `<li class="${kind}"><b>${index + 1}</b>${escapeHtml(label)}</li>`,
  );
  return `<ol class="marks">${items.join('')}</ol>`;
}

function rootCause({ rootCause: found }: ReportData): string {
  if (found === undefined) return '<p class="none">Nothing stood out, and nothing was named.</p>';
  const evidence = found.evidence.map((line) => `<li>${escapeHtml(line)}</li>`).join('');
  const others =
    found.others.length === 0 ? '' : `<p><small>Ranked below: ${escapeHtml(found.others.join(', '))}</small></p>`;
  return `<p class="cause">${escapeHtml(found.title)}</p><ul>${evidence}</ul>${others}`;
}

function steps(data: ReportData): string {
  const rows = data.steps.flatMap(({ name, durationMs, assertions, error }) => [
    `<tr class="step"><th scope="rowgroup">${escapeHtml(name)}</th><td>${duration(durationMs)}</td></tr>`,
    ...assertions.map(
      ({ claim, measured, held }) =>
        `<tr><td><span class="${held ? 'good' : 'bad'}">${held ? '✓' : '✗'}</span> ${escapeHtml(claim)}</td><td>${escapeHtml(measured)}</td></tr>`,
    ),
    ...(error === undefined ? [] : [`<tr><td><span class="bad">✗</span> ${escapeHtml(error)}</td><td></td></tr>`]),
  ]);
  return `<table><tbody>${rows.join('')}</tbody></table>`;
}
