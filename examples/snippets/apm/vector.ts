import assert from 'node:assert/strict';
// #region vector
import { createVectorDetector } from '@mnops/apm/analysis';

const together = createVectorDetector({ dimensions: 2 });
for (let i = 0; i < 2_000; i += 1) together.next([i % 10, (i % 10) * 2]);
const score = together.next([9, 0]);
console.log(score); // each is usual by itself, not together
// #endregion
assert.ok(score > 0.5);
