import type { ResolvedSampling } from './sampling-config.js';

/** The same sampling; what a custom sampler throws, for which the trace is then recorded, is told before. */
export function watchedSampling(sampling: ResolvedSampling, failed: (error: unknown) => void): ResolvedSampling {
  const { head } = sampling;
  if (head.kind !== 'custom') return sampling;
  const { sampler } = head;
  const watched: typeof sampler = {
    shouldSample: (...question) => {
      try {
        return sampler.shouldSample(...question);
      } catch (error) {
        failed(error);
        throw error;
      }
    },
  };
  return { ...sampling, head: { kind: 'custom', sampler: watched } };
}
