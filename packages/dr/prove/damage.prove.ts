import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { flipCampaign } from './flip-campaign.js';

const campaign: Campaign = defineCampaign({
  package: 'dr',
  suite: 'damage',
  bar: '10',
  name: 'flipped bytes and cut files of a repository',
  goal: 'it opens, tells the damage, loses no more than what was hit',
  defaultCount: 1_500,
  shortCount: 60,
  run: (ctx) => flipCampaign(ctx),
});

export default campaign;
