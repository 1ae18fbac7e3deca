import { describe, expect, it } from 'vitest';
import { Circuit } from './circuit.js';

describe('Circuit', () => {
  it('opens after five failures and then lets a probe through rarely', () => {
    const circuit = new Circuit(() => 0.5);
    const waits = Array.from({ length: 10 }, () => {
      const wait = circuit.failed(undefined);
      circuit.probe();
      return wait;
    });
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 3_750, 7_500, 15_000, 22_500, 22_500]);
    expect(circuit.state).toBe('half-open');
    circuit.failed(undefined);
    expect(circuit.state).toBe('open');
    circuit.succeeded();
    expect([circuit.state, circuit.failed(undefined)]).toEqual(['closed', 250]);
  });

  it('waits as long as the back end asks, within bounds', () => {
    const circuit = new Circuit(() => 0);
    expect(circuit.failed(7_000)).toBe(7_000);
    expect(circuit.failed(1e12)).toBe(300_000);
    expect(circuit.failed(-5)).toBe(0);
  });
});
