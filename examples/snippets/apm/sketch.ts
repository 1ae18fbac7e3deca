import assert from 'node:assert/strict';
// #region sketch
import { createDetector, LatencySketch } from '@mnops/apm/analysis';

const monday = new LatencySketch();
const tuesday = new LatencySketch();
for (let ms = 1; ms <= 1_000; ms += 1) (ms % 2 === 0 ? monday : tuesday).add(ms);
monday.merge(tuesday);
console.log(monday.count, monday.quantile(0.99)); // 1000, 990 within 0.79 %

const detector = createDetector();
const scores = [20, 21, 19, 20, 22, 20, 21, 19, 20, 21, 20, 90].map((value, i) => detector.next(value, i * 60_000));
console.log(scores.at(-1)); // 0.5 and more is an anomaly
// #endregion

assert.ok(Math.abs((monday.quantile(0.99) ?? 0) - 990) <= 990 * 0.0079);
assert.ok((scores.at(-1) ?? 0) >= 0.5);
