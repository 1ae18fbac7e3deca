import { adaptiveDetector } from './adaptive.js';
import type { Detector, DetectorOptions } from './detector.js';
import { sigmaDetector } from './sigma.js';

/** A detector with nothing learned yet. */
export function createDetector(options: DetectorOptions = {}): Detector {
  const { detector = 'adaptive', sigma = 2, minPoints = 10 } = options;
  return detector === 'sigma' ? sigmaDetector(sigma, minPoints) : adaptiveDetector(minPoints);
}
