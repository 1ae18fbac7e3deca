import { join } from 'node:path';
import { dataSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { differencesOf, recordedSequences } from './fixtures/recorded-sequences.js';

dataSuite({ describe, it }, 'aws-recorded', 'what the real Secrets Manager answered', (folder) => {
  const sequences = recordedSequences(join(folder, 'secretsmanager.snapshot.json'));

  it('is the whole recording', () => {
    expect(sequences).toHaveLength(55);
  });

  for (const sequence of sequences) {
    it(`the fake answers the same: ${sequence.name}`, async () => {
      expect(await differencesOf(sequence)).toEqual([]);
    });
  }

  it('notices an answer that differs', async () => {
    const [first] = sequences;
    const answers = { ...first?.answers, delete_res_1: { Name: 'other', ResponseMetadata: { HTTPStatusCode: 400 } } };
    expect((await differencesOf({ name: first?.name ?? '', answers })).length).toBeGreaterThan(2);
  });
});
