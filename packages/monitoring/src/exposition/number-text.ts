/** A value as both text formats write it: `NaN`, `+Inf`, `-Inf`, else the shortest text that reads back the same. */
export function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

/**
 * The canonical text of a bucket's upper bound, as OpenMetrics 1.0 defines it (Go's `%g`, with `.0` added to whole
 * numbers). It is used in every format, so that changing the format never makes new series.
 */
export function boundText(bound: number): string {
  if (bound === Number.POSITIVE_INFINITY) return '+Inf';
  if (bound === 0) return '0.0';
  const [mantissa = '', exponentText = '0'] = bound.toExponential().split('e');
  const exponent = Number(exponentText);
  // Go's shortest %g writes exponents below 1e-4 and from 1e+06 on.
  if (exponent < -4 || exponent >= 6) {
    const sign = exponent < 0 ? '-' : '+';
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  const text = String(bound);
  return /[.e]/.test(text) ? text : `${text}.0`;
}
