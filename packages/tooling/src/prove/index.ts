import type { Campaign } from './types.js';

export type { Campaign, CampaignContext, CampaignRow } from './types.js';

/**
 * Declares a campaign: `packages/<package>/prove/<suite>.prove.ts` exports one, or a list of them, by default.
 *
 * Campaigns run from source; processes that a campaign kills run on the built packages.
 */
export function defineCampaign(campaign: Campaign): Campaign {
  return campaign;
}
