import { type PropagatorName, propagatorNames } from '../propagation/propagator-names.js';
import type { Variables } from './variables.js';

const own = Object.fromEntries(propagatorNames.map((name) => [name, name]));
/** Datadog's names of the same formats. */
const datadogNames: Readonly<Record<string, PropagatorName>> = {
  datadog: 'datadog',
  tracecontext: 'tracecontext',
  baggage: 'baggage',
  b3: 'b3multi',
  b3multi: 'b3multi',
  'b3 single header': 'b3',
};

/** The formats that are listed; `undefined`: the manager's default. */
export function propagatorsFrom(variables: Variables): readonly PropagatorName[] | undefined {
  return (
    listed(variables, ['OTEL_PROPAGATORS'], own) ??
    listed(variables, ['DD_TRACE_PROPAGATION_STYLE', 'DD_TRACE_PROPAGATION_STYLE_EXTRACT'], datadogNames)
  );
}

function listed(
  variables: Variables,
  names: readonly string[],
  meanings: Readonly<Record<string, PropagatorName>>,
): readonly PropagatorName[] | undefined {
  const found = variables.list(...names);
  if (found === undefined) return undefined;
  if (found.items.includes('none')) return [];
  const known = found.items.filter((item) => Object.hasOwn(meanings, item));
  if (known.length < found.items.length) {
    const all = Object.keys(meanings).join(', ');
    variables.say(`${found.name} names a format that is none of ${all}, none; it is left out. Take it out.`);
  }
  if (known.length === 0) return undefined;
  return [...new Set(known.map((item) => meanings[item] as PropagatorName))];
}
