import assert from 'node:assert/strict';
// #region series
import { forecastSeries } from '@mnops/apm/analysis';

const hours = Array.from({ length: 24 * 14 }, (_, hour) => 100 + 80 * Math.sin((hour / 24) * 2 * Math.PI));
const { usable, points } = forecastSeries(hours, { horizon: 24, minimum: 0 });
console.log(usable, points[6]?.value, points[6]?.low, points[6]?.high);
// #endregion
assert.equal(points.length, 24);
assert.ok(Math.abs((points[6]?.value ?? 0) - 180) < 20);
