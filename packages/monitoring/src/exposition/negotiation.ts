/** Text formats this package writes. */
export type ExpositionFormat = 'text' | 'openmetrics';

/** Content type of each format. */
export const contentTypes: Readonly<Record<ExpositionFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** The format that an Accept header likes best; text 0.0.4 when it names none that is written here. */
export function negotiateFormat(accept: string | undefined): ExpositionFormat {
  let best: { format: ExpositionFormat; quality: number } = { format: 'text', quality: 0 };
  for (const part of (accept ?? '').slice(0, 4_096).split(',')) {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    const format = formatOf(type, parameters);
    if (format === undefined) continue;
    const quality = qualityOf(parameters);
    if (quality > best.quality) best = { format, quality };
  }
  return best.format;
}

function formatOf(type: string, parameters: readonly string[]): ExpositionFormat | undefined {
  const version = parameters.find((parameter) => parameter.startsWith('version='))?.slice(8);
  if (type === 'application/openmetrics-text') {
    return version === undefined || version === '1.0.0' || version === '0.0.1' ? 'openmetrics' : undefined;
  }
  if (type === 'text/plain' || type === 'text/*' || type === '*/*') return 'text';
  return undefined;
}

function qualityOf(parameters: readonly string[]): number {
  const text = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  if (text === undefined) return 1;
  const quality = Number(text);
  return Number.isFinite(quality) ? Math.min(1, Math.max(0, quality)) : 0;
}
