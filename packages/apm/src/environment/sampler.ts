import type { HeadSampler } from '../sampling/sampling-config.js';
import type { Variables } from './variables.js';

const samplers: Readonly<Record<string, (ratio: number) => HeadSampler>> = {
  always_on: () => ({ kind: 'always-on' }),
  always_off: () => ({ kind: 'always-off' }),
  traceidratio: (ratio) => ({ kind: 'ratio', ratio }),
  parentbased_always_on: () => ({ kind: 'parent-based', root: { kind: 'always-on' } }),
  parentbased_always_off: () => ({ kind: 'parent-based', root: { kind: 'always-off' } }),
  parentbased_traceidratio: (ratio) => ({ kind: 'parent-based', root: { kind: 'ratio', ratio } }),
};

const argument = 'OTEL_TRACES_SAMPLER_ARG';

/** The sampler that is named, else the share that a vendor's variable gives; `undefined`: the manager's default. */
export function samplerFrom(variables: Variables): HeadSampler | undefined {
  const named = variables.choice(['OTEL_TRACES_SAMPLER'], samplers);
  const isSet = variables.has('OTEL_TRACES_SAMPLER');
  const isRatio = variables.text('OTEL_TRACES_SAMPLER')?.toLowerCase().endsWith('traceidratio') === true;
  if (variables.has(argument) && !isRatio && (named !== undefined || !isSet)) {
    variables.warn(argument, 'is for samplers of a ratio only', 'Set OTEL_TRACES_SAMPLER to parentbased_traceidratio.');
  }
  if (named !== undefined) return named(isRatio ? (variables.share(argument) ?? 1) : 1);
  if (isSet) return undefined;
  const ratio = variables.share('DD_TRACE_SAMPLE_RATE', 'ELASTIC_APM_TRANSACTION_SAMPLE_RATE');
  return ratio === undefined ? undefined : { kind: 'parent-based', root: { kind: 'ratio', ratio } };
}
