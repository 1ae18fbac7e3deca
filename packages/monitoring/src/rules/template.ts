/** What a template can show. */
export interface TemplateValues {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

type Render = (values: TemplateValues) => string;

const formatters: Readonly<Record<string, (value: number) => string>> = {
  humanize: humanizeNumber,
  humanizePercentage: (value) => `${shortNumber(value * 100)}%`,
  humanizeDuration,
};

/**
 * Compiles the subset of Prometheus' template language that annotations mostly use: `{{ $value }}`,
 * `{{ $labels.name }}`, and `{{ $value | humanize }}` with `humanizePercentage` and `humanizeDuration`.
 *
 * @returns The template, or what is wrong with it.
 */
export function compileTemplate(text: string): { readonly render: Render } | { readonly problem: string } {
  const pieces: (string | Render)[] = [];
  let rest = text;
  for (;;) {
    const start = rest.indexOf('{{');
    if (start < 0) break;
    const end = rest.indexOf('}}', start);
    if (end < 0) return { problem: 'a `{{` without its `}}`' };
    const expression = compileExpression(rest.slice(start + 2, end).trim());
    if (typeof expression === 'string') return { problem: expression };
    pieces.push(rest.slice(0, start), expression);
    rest = rest.slice(end + 2);
  }
  pieces.push(rest);
  return { render: (values) => pieces.map((piece) => (typeof piece === 'string' ? piece : piece(values))).join('') };
}

function compileExpression(text: string): Render | string {
  const [subject = '', formatter, ...more] = text.split('|').map((part) => part.trim());
  if (more.length > 0) return `\`${text}\`: one formatter at most`;
  const label = /^\$labels\.([a-zA-Z_][a-zA-Z0-9_]*)$/.exec(subject)?.[1];
  if (label !== undefined && formatter === undefined) return ({ labels }) => labels[label] ?? '';
  if (subject !== '$value') return `\`${text}\`: only $value and $labels.<name> are known`;
  if (formatter === undefined) return ({ value }) => shortNumber(value);
  const format = Object.hasOwn(formatters, formatter) ? formatters[formatter] : undefined;
  if (format === undefined) return `the formatter \`${formatter}\`: known are ${Object.keys(formatters).join(', ')}`;
  return ({ value }) => format(value);
}

/** Four significant digits, without trailing zeros. */
function shortNumber(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}

function humanizeNumber(value: number): string {
  if (!Number.isFinite(value) || value === 0) return String(value);
  const steps = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
  const small = ['', 'm', 'u', 'n', 'p'];
  let scaled = Math.abs(value);
  let step = 0;
  if (scaled >= 1) while (scaled >= 1_000 && step < steps.length - 1) [scaled, step] = [scaled / 1_000, step + 1];
  else while (scaled < 1 && step < small.length - 1) [scaled, step] = [scaled * 1_000, step + 1];
  const suffix = Math.abs(value) >= 1 ? steps[step] : small[step];
  return `${value < 0 ? '-' : ''}${shortNumber(scaled)}${suffix}`;
}

function humanizeDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return String(seconds);
  if (Math.abs(seconds) < 1) return `${shortNumber(seconds * 1_000)}ms`;
  const whole = Math.floor(Math.abs(seconds));
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
  ] as const;
  const text = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`);
  const rest = whole < 60 ? shortNumber(Math.abs(seconds)) : String(whole % 60);
  return `${seconds < 0 ? '-' : ''}${[...text, `${rest}s`].join(' ')}`;
}
