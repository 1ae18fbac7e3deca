import { expect, it } from 'vitest';
import { EdgeLedger, other } from './edge-ledger.js';

it('counts each edge without room once, from the first on', () => {
  const ledger = new EdgeLedger(1);
  ledger.edge('a', 'b', 'request');
  const rest = ledger.edge('a', 'c', 'request');
  expect(rest).toMatchObject({ client: other, server: other, connection: 'request' });
  expect(ledger.overflowed).toBe(1);
  expect(ledger.edge('d', 'c', 'request')).toBe(rest);
  expect(ledger.edge('d', 'c', 'database')).not.toBe(rest);
  expect(ledger.overflowed).toBe(3);
  expect(ledger.edges()).toHaveLength(3);
});
