import { join } from 'node:path';
import { dataFolder, isRequired } from '@mnops/tooling/parts';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { differencesOf, recordedSequences } from '../src/providers/aws/fixtures/recorded-sequences.js';

const folder = dataFolder('aws-recorded');

/** Each sequence that was recorded from the real Secrets Manager is asked anew of the fake. */
const recorded: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'aws-recorded',
  bar: 'B14',
  name: 'recorded sequences of AWS, answered by the fake',
  goal: '0 of 55 differ',
  defaultCount: 55,
  shortCount: 55,
  async run({ count, fail, progress }) {
    if (folder === undefined) throw new Error('there is no folder aws-recorded: set MNOPS_TEST_DATA');
    const sequences = recordedSequences(join(folder, 'secretsmanager.snapshot.json'));
    if (sequences.length !== 55) fail(`${sequences.length} sequences, not 55`);
    for (const [index, sequence] of sequences.slice(0, count).entries()) {
      const [first] = await differencesOf(sequence);
      if (first !== undefined) fail(`${sequence.name}: ${first}`);
      progress(index + 1);
    }
  },
});

const isThere = folder !== undefined || isRequired('data') || isRequired('data:aws-recorded');

// Without the recording there is nothing to try.
const campaigns: readonly Campaign[] = isThere ? [recorded] : [];
export default campaigns;
