/** Ids of OpenTelemetry's form: 32 hexadecimal digits for a trace, 16 for a span. */
export interface IdSource {
  generateTraceId(): string;
  generateSpanId(): string;
}

/** Words of four random bytes made at once; sixteen spans with traces of their own use them up. */
const wordCount = 96;

/**
 * Makes random ids. They are cut from one text of many digits, because turning bytes into digits is a call out of
 * JavaScript that costs a tenth of a whole span.
 */
export function randomIds(random: () => number = Math.random): IdSource {
  const words = new Uint32Array(wordCount);
  const bytes = Buffer.from(words.buffer);
  let digits = '';
  let position = 0;
  const next = (length: number): string => {
    if (position + length > digits.length) {
      // No word is zero, so no id is: OpenTelemetry calls such an id invalid.
      for (let i = 0; i < wordCount; i += 1) words[i] = (random() * 2 ** 32) >>> 0 || 1;
      digits = bytes.toString('hex');
      position = 0;
    }
    position += length;
    return digits.slice(position - length, position);
  };
  return { generateTraceId: () => next(32), generateSpanId: () => next(16) };
}
