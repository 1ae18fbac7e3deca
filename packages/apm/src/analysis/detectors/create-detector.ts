import { adaptiveDetector } from './adaptive.js';
import type { Detector, DetectorOptions } from './detector.js';
import { noveltyDetector } from './novelty.js';
import { robustDetector } from './robust.js';
import { seasonalDetector } from './seasonal.js';
import { sigmaDetector } from './sigma.js';
import { tailThresholdDetector } from './tail-threshold.js';

/** A detector with nothing learned yet. */
export function createDetector(options: DetectorOptions = {}): Detector {
  const { detector = 'adaptive', sigma = 2, minPoints = 10 } = options;
  switch (detector) {
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
