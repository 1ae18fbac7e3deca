/** Ids of OpenTelemetry's form: 32 hexadecimal digits for a trace, 16 for a span. */
export interface IdSource {
  generateTraceId(): string;
  generateSpanId(): string;
}

/** The ids of a span as numbers of 32 bits, with sign: eight digits each, the first digits first. */
export interface IdWords {
  readonly trace0: number;
  readonly trace1: number;
  readonly trace2: number;
  readonly trace3: number;
  readonly span0: number;
  readonly span1: number;
  /** Those of the parent; 0 without one. */
  readonly parent0: number;
  readonly parent1: number;
}

/** A source that knows its ids as numbers, too: to read them from their digits costs more than all else about them. */
export interface RandomIds extends IdSource {
  /**
   * The ids of the span that began last.
   *
   * @param parentWords - Those of its parent; `undefined` without a parent.
   * @returns `undefined` when an id is not the last of its kind, or not of this source.
   */
  wordsOf(
    ids: { readonly traceId: string; readonly spanId: string },
    parentWords: IdWords | undefined,
  ): IdWords | undefined;
}

/** Words of four random bytes made at once; sixteen spans with traces of their own use them up. */
const wordCount = 96;

/**
 * Makes random ids. They are cut from one text of many digits, because turning bytes into digits is a call out of
 * JavaScript that costs a tenth of a whole span.
 */
export function randomIds(random: () => number = Math.random): RandomIds {
  const words = new Uint32Array(wordCount);
  const bytes = Buffer.from(words.buffer);
  const view = new DataView(words.buffer);
  /** The words as their digits say them. */
  const said = new Array<number>(wordCount).fill(0);
  let digits = '';
  let position = 0;
  const last = { traceId: '', trace0: 0, trace1: 0, trace2: 0, trace3: 0, spanId: '', span0: 0, span1: 0 };
  const next = (length: number): string => {
    if (position + length > digits.length) {
      // No word is zero, so no id is: OpenTelemetry calls such an id invalid.
      for (let i = 0; i < wordCount; i += 1) words[i] = (random() * 2 ** 32) >>> 0 || 1;
      digits = bytes.toString('hex');
      for (let i = 0; i < wordCount; i += 1) said[i] = view.getInt32(4 * i);
      position = 0;
    }
    position += length;
    return digits.slice(position - length, position);
  };
  return {
    generateTraceId() {
      last.traceId = next(32);
      const at = position >> 3;
      last.trace0 = said[at - 4] as number;
      last.trace1 = said[at - 3] as number;
      last.trace2 = said[at - 2] as number;
      last.trace3 = said[at - 1] as number;
      return last.traceId;
    },
    generateSpanId() {
      last.spanId = next(16);
      const at = position >> 3;
      last.span0 = said[at - 2] as number;
      last.span1 = said[at - 1] as number;
      return last.spanId;
    },
    wordsOf({ traceId, spanId }, parentWords) {
      if (spanId !== last.spanId) return undefined;
      const { span0, span1 } = last;
      if (parentWords !== undefined) {
        const { trace0, trace1, trace2, trace3, span0: parent0, span1: parent1 } = parentWords;
        return { trace0, trace1, trace2, trace3, span0, span1, parent0, parent1 };
      }
      if (traceId !== last.traceId) return undefined;
      const { trace0, trace1, trace2, trace3 } = last;
      return { trace0, trace1, trace2, trace3, span0, span1, parent0: 0, parent1: 0 };
    },
  };
}
