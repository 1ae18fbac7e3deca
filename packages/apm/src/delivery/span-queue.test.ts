import { describe, expect, it } from 'vitest';
import { randomOf } from '../testing/random.js';
import { spanOf } from '../testing/spans.js';
import { SpanQueue } from './span-queue.js';

const unsampled = (id: string) => ({ ...spanOf({ id }), traceFlags: 0 });
const taken = (queue: SpanQueue): string[] => queue.take(100).map(({ span }) => span.spanId.replace(/^0+/, ''));

describe('SpanQueue', () => {
  it('keeps the order of all kinds of spans', () => {
    const queue = new SpanQueue();
    queue.push(spanOf({ id: '1', error: true }));
    queue.push(unsampled('2'));
    queue.push(spanOf({ id: '3' }));
    queue.push(unsampled('4'));
    expect(queue.take(2).map(({ span }) => span.spanId.at(-1))).toEqual(['1', '2']);
    expect(taken(queue)).toEqual(['3', '4']);
    expect([queue.size, queue.bytes]).toEqual([0, 0]);
  });

  it('gives up the oldest that is not sampled, then the oldest plain one, errors last', () => {
    const queue = new SpanQueue();
    for (const span of [spanOf({ id: '1', error: true }), spanOf({ id: '2' }), unsampled('3'), unsampled('4')]) {
      queue.push(span);
    }
    queue.push({ ...spanOf({ id: '5', error: true }), traceFlags: 0 });
    const left: string[][] = [];
    for (let i = 0; i < 5; i += 1) {
      expect(queue.dropOne()).toBe(true);
      const entries = queue.take(100);
      left.push(entries.map(({ span }) => span.spanId.at(-1) ?? ''));
      queue.putBack(entries);
    }
    expect(left).toEqual([['1', '2', '4', '5'], ['1', '2', '5'], ['1', '5'], ['5'], []]);
    expect(queue.dropOne()).toBe(false);
    expect(queue.bytes).toBe(0);
  });

  it('is exact in every order of pushing, taking, putting back and dropping', () => {
    const random = randomOf(3);
    const queue = new SpanQueue();
    const model: { id: string; rank: number }[] = [];
    for (let step = 0; step < 5_000; step += 1) {
      const choice = random();
      if (choice < 0.6) {
        const id = (step + 1).toString(16);
        const rank = Math.floor(random() * 3);
        queue.push(rank === 0 ? unsampled(id) : spanOf({ id, error: rank === 2 }));
        model.push({ id, rank });
      } else if (choice < 0.75) {
        const entries = queue.take(Math.floor(random() * 5));
        expect(entries.map(({ span }) => span.spanId.replace(/^0+/, ''))).toEqual(
          model.slice(0, entries.length).map(({ id }) => id),
        );
        if (random() < 0.5) queue.putBack(entries);
        else model.splice(0, entries.length);
      } else {
        const lowest = Math.min(...model.map(({ rank }) => rank));
        expect(queue.dropOne()).toBe(model.length > 0);
        const at = model.findIndex(({ rank }) => rank === lowest);
        if (at !== -1) model.splice(at, 1);
      }
      expect(queue.size).toBe(model.length);
    }
    expect(queue.bytes > 0).toBe(model.length > 0);
  });
});
