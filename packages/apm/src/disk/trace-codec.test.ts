import { deflateRawSync } from 'node:zlib';
import { codeOf } from '@mnops/core';
import { expect, it } from 'vitest';
import { packTraces, readHead, unpackTraces } from './trace-codec.js';

it('refuses a record that inflates to more than any has', async () => {
  const head = (await packTraces([])).subarray(0, 20);
  expect(readHead(head)?.traceIds).toEqual([]);
  const bomb = Buffer.concat([head, deflateRawSync(Buffer.alloc(300 * 1_048_576), { level: 1 })]);
  expect(bomb.length).toBeLessThan(4 * 1_048_576);
  await expect(unpackTraces(bomb)).rejects.toSatisfy((error) => codeOf(error) === 'ERR_BUFFER_TOO_LARGE');
});
