import type { AnySeries, Family } from '../metrics/family.js';
import type { CounterSeries, GaugeSeries, HistogramSeries } from '../metrics/series.js';
import type { ExpositionFormat } from './negotiation.js';
import { boundText, numberText } from './number-text.js';

/** Size of one chunk of output. */
const chunkCharacters = 64 * 1_024;
/** How long the writer runs before it lets the event loop turn. */
const sliceMs = 5;

/** What the writer reads of a family. */
export type WrittenFamily = Pick<Family<AnySeries>, 'definition'> & { readonly series: ReadonlySet<AnySeries> };

/** How the text is made. */
export interface WriteOptions {
  readonly format: ExpositionFormat;
  /** Labels on every series, already escaped, without braces. */
  readonly constText: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes families in Prometheus text 0.0.4 or OpenMetrics 1.0.
 *
 * One label set is written in one synchronous step, so its buckets, sum and count agree. Between chunks the event loop
 * turns after 5 ms of work.
 */
export async function* writeExposition(
  families: Iterable<WrittenFamily>,
  options: WriteOptions,
): AsyncGenerator<Uint8Array> {
  let text = '';
  let sliceStart = performance.now();
  for (const family of families) {
    if (family.series.size === 0) continue;
    text += head(family, options.format);
    const write = lineWriter(family, options);
    for (const series of family.series) {
      text += write(series);
      if (text.length < chunkCharacters) continue;
      yield Buffer.from(text);
      text = '';
      if (performance.now() - sliceStart > sliceMs) {
        await new Promise((resolve) => setImmediate(resolve));
        options.signal?.throwIfAborted();
        sliceStart = performance.now();
      }
    }
  }
  if (options.format === 'openmetrics') text += '# EOF\n';
  if (text !== '') yield Buffer.from(text);
}

function head(family: WrittenFamily, format: ExpositionFormat): string {
  const { name, type, help, unit } = family.definition;
  const escapedHelp = help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
  if (format === 'text') return `# HELP ${name} ${escapedHelp}\n# TYPE ${name} ${type}\n`;
  const familyName = type === 'counter' ? name.slice(0, -'_total'.length) : name;
  const unitLine = unit === undefined ? '' : `# UNIT ${familyName} ${unit}\n`;
  return `# TYPE ${familyName} ${type}\n${unitLine}# HELP ${familyName} ${escapedHelp.replace(/"/g, '\\"')}\n`;
}

function lineWriter(family: WrittenFamily, options: WriteOptions): (series: AnySeries) => string {
  const { name, bounds } = family.definition;
  const { constText } = options;
  const join = (own: string): string => (constText === '' ? own : own === '' ? constText : `${constText},${own}`);
  if (bounds === undefined) {
    return (series) => {
      const labels = join(series.text);
      const value = (series as CounterSeries | GaugeSeries).value;
      return labels === '' ? `${name} ${numberText(value)}\n` : `${name}{${labels}} ${numberText(value)}\n`;
    };
  }
  const bucketTails = [...bounds, Number.POSITIVE_INFINITY].map((bound) => `le="${boundText(bound)}"} `);
  return (series) => {
    const labels = join(series.text);
    const { counts, sum, count } = series as HistogramSeries;
    const prefix = labels === '' ? `${name}_bucket{` : `${name}_bucket{${labels},`;
    const braces = labels === '' ? '' : `{${labels}}`;
    let text = '';
    let cumulative = 0;
    for (let index = 0; index < counts.length; index++) {
      cumulative += counts[index] as number;
      text += `${prefix}${bucketTails[index]}${cumulative}\n`;
    }
    return `${text}${name}_sum${braces} ${numberText(sum)}\n${name}_count${braces} ${count}\n`;
  };
}
