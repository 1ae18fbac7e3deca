import { countSchema, parseOptions } from '@mnops/core/config';
import * as v from 'valibot';
import { adaptiveDetector } from './adaptive.js';
import { checkedDetector } from './checked-detector.js';
import { type Detector, type DetectorKind, type DetectorOptions, detectorKinds } from './detector.js';
import { noveltyDetector } from './novelty.js';
import { robustDetector } from './robust.js';
import { seasonalDetector } from './seasonal.js';
import { sigmaDetector } from './sigma.js';
import { tailThresholdDetector } from './tail-threshold.js';

const optionsSchema = v.strictObject({
  detector: v.optional(v.picklist(detectorKinds)),
  sigma: v.optional(v.pipe(v.number(), v.finite(), v.gtValue(0))),
  minPoints: v.optional(countSchema),
});

/**
 * A detector with nothing learned yet.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` when an option is unknown or malformed.
 */
export function createDetector(options: DetectorOptions = {}): Detector {
  const { detector = 'adaptive', sigma = 2, minPoints = 10 } = parseOptions('createDetector', optionsSchema, options);
  return checkedDetector(detectorOf(detector, sigma, minPoints));
}

function detectorOf(kind: DetectorKind, sigma: number, minPoints: number): Detector {
  switch (kind) {
    case 'sigma':
      return sigmaDetector(sigma, minPoints);
    case 'robust':
      return robustDetector(minPoints);
    case 'novelty':
      return noveltyDetector(minPoints);
    case 'seasonal':
      return seasonalDetector(minPoints);
    case 'tail-threshold':
      return tailThresholdDetector(minPoints);
    case 'adaptive':
      return adaptiveDetector(minPoints);
  }
}
