import { expect, it } from 'vitest';
import { spanOf } from '../testing/spans.js';
import { CallRows, column, fraction, noRow } from './call-rows.js';
import { RowIndex } from './row-index.js';
import { epochMs, factsOf, millisecondsOf } from './span-facts.js';
import { readSpanKey, spanIdOf } from './span-key.js';

function keyOf(id: string): [high: number, low: number] {
  const key = new Int32Array(2);
  readSpanKey(id, key);
  return [key[0] as number, key[1] as number];
}

it('reads ids of spans as numbers and back, and tells other texts apart', () => {
  for (const id of ['0123456789abcdef', 'ffffffffffffffff', '8000000000000001']) {
    expect(readSpanKey(id, new Int32Array(2))).toBe(true);
    expect(spanIdOf(...keyOf(id))).toBe(id);
  }
  const others = [
    '',
    'a',
    'b',
    'ab',
    'ba',
    '0123456789ABCDEF',
    '0123456789abcdeg',
    '\u0130123456789abcdef',
    '0'.repeat(17),
  ];
  for (const id of others) expect(readSpanKey(id, new Int32Array(2))).toBe(false);
  expect(new Set([...others, '0123456789abcdef'].map((id) => keyOf(id).join())).size).toBe(others.length + 1);
});

it('finds the last row of an id, in any order of adding and removing', () => {
  const rows = new CallRows();
  const index = new RowIndex(rows, { key: column.id, links: column.byId, since: fraction.heldMs });
  const model: { id: string; row: number }[] = [];
  for (let step = 0; step < 4_000; step += 1) {
    // Two ids of three are shared, and more come than go until the middle.
    const id = ((step * 7_919) % 600).toString(16).padStart(16, '0');
    if (step % 3 === 2 || step > 2_000) {
      const [gone] = model.splice((step * 31) % Math.max(1, model.length), 1);
      if (gone !== undefined) {
        index.remove(gone.row);
        rows.finish(gone.row);
      }
    } else {
      const row = rows.take(factsOf(spanOf({ id })), true);
      index.add(row, step);
      model.push({ id, row });
    }
    const last = model.findLast((entry) => entry.id === id)?.row ?? noRow;
    expect(index.find(...keyOf(id))).toBe(last);
    expect(index.oldest).toBe(model[0]?.row ?? noRow);
    expect(index.size).toBe(model.length);
  }
  expect(model).toEqual([]);
});

it('keeps the facts of a span, whatever its ids are', () => {
  const rows = new CallRows();
  const span = spanOf({ id: 'a', parent: 'b', kind: 'client', error: true, attributes: { 'peer.service': 'bank' } });
  for (const ids of [{}, { spanId: 'odd', parentSpanId: 'also odd' }, { parentSpanId: undefined }]) {
    const facts = factsOf({ ...span, ...ids });
    const kept = rows.facts(rows.take(facts, true));
    expect(kept).toEqual({ ...facts, traceId: '', operation: '', origin: { ...kept.origin, service: 'shop' } });
  }
});

it('turns nanoseconds into milliseconds as exactly as division of whole numbers does', () => {
  const times = [
    0n,
    1n,
    999_999n,
    1_000_000n,
    0xffff_ffffn,
    0x1_0000_0000n,
    1_700_000_000_123_456_789n,
    0xffff_ffff_ffff_ffffn,
  ];
  for (const time of times) {
    expect(epochMs(time)).toBe(Number(time / 1_000_000n) + Number(time % 1_000_000n) / 1e6);
    expect(millisecondsOf(time)).toBe(Number(time) / 1e6);
  }
});
