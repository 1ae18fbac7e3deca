import type { ReportData } from './report-data.js';
import { escapeHtml, figure } from './svg.js';

/** The service map: callers left, the called right, each arrow as wide as its traffic. */
export function serviceMap({ map }: ReportData): string {
  if (map.nodes.length === 0) return '<p class="none">No spans arrived.</p>';
  const levels = levelsOf(map);
  const columns = Math.max(...levels.values()) + 1;
  const perColumn = Array.from({ length: columns }, (_, column) =>
    map.nodes.filter(({ name }) => levels.get(name) === column),
  );
  const rows = Math.max(...perColumn.map(({ length }) => length));
  const height = Math.max(150, rows * 120 + 30);
  const spacing = columns > 1 ? (960 - 220) / (columns - 1) : 0;
  const place = new Map<string, { x: number; y: number }>();
  perColumn.forEach((nodes, column) => {
    nodes.forEach(({ name }, row) => {
      place.set(name, { x: 110 + column * spacing, y: (height / (nodes.length + 1)) * (row + 1) });
    });
  });
  const most = Math.max(1, ...map.edges.map(({ calls }) => calls));
  const edges = map.edges.map(({ from, to, calls, errors, p95Ms }) => {
    const start = place.get(from) ?? { x: 0, y: 0 };
    const end = place.get(to) ?? { x: 0, y: 0 };
    const bad = errors / Math.max(1, calls) > 0.005;
    const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
    const share = `${figure((errors / Math.max(1, calls)) * 100)} % errors`;
    const p95 = p95Ms === undefined ? '' : `, p95 ${figure(p95Ms)} ms`;
    return `<path class="edge ${bad ? 'bad' : ''}" stroke-width="${1.5 + (calls / most) * 4}" marker-end="url(#arrow)" d="M${start.x + 82} ${start.y} L${end.x - 90} ${end.y}"/><text class="edge-label" x="${middle.x}" y="${middle.y - 12}" text-anchor="middle">${figure(calls)} calls</text><text class="edge-label" x="${middle.x}" y="${middle.y + 22}" text-anchor="middle">${share}${p95}</text>`;
  });
  const nodes = map.nodes.map(({ name, calls, errors }) => {
    const { x, y } = place.get(name) ?? { x: 0, y: 0 };
    const bad = errors / Math.max(1, calls) > 0.005;
    return `<g class="node ${bad ? 'bad' : ''}"><rect x="${x - 80}" y="${y - 28}" width="160" height="56" rx="10"/><text class="name" x="${x}" y="${y - 3}" text-anchor="middle">${escapeHtml(name)}</text><text class="sub" x="${x}" y="${y + 16}" text-anchor="middle">${figure(calls)} requests, ${figure(errors)} failed</text></g>`;
  });
  return `<div class="scroll"><svg viewBox="0 0 960 ${height}" role="img" aria-label="Service map"><defs><marker id="arrow" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0 L10 5 L0 10 z"/></marker></defs>${edges.join('')}${nodes.join('')}</svg></div>`;
}

/** Distance from a service that nobody calls; a cycle ends at the number of nodes. */
function levelsOf(map: ReportData['map']): Map<string, number> {
  const levels = new Map(map.nodes.map(({ name }) => [name, 0]));
  for (let pass = 0; pass < map.nodes.length; pass++) {
    for (const { from, to } of map.edges) {
      const next = Math.min(map.nodes.length - 1, (levels.get(from) ?? 0) + 1);
      if (from !== to && (levels.get(to) ?? 0) < next && pass < map.nodes.length - 1) levels.set(to, next);
    }
  }
  return levels;
}
