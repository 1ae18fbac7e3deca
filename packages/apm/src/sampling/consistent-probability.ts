/** Hexadecimal digits of a threshold and of a randomness: 56 bits. */
const digits = 14;
const whole = 2 ** 56;
const thresholdForm = /^[0-9a-f]{1,14}$/;
const randomnessForm = /^[0-9a-f]{14}$/;
/** Characters that OpenTelemetry's member of `tracestate` may have. */
const maxMemberLength = 256;
const zeroThreshold = '0'.repeat(digits);

/**
 * The member `ot` of `tracestate`, as OpenTelemetry's specification of probability sampling defines it
 * (`trace/tracestate-probability-sampling`): `th` says which share was left out, `rv` replaces the trace id's randomness.
 */
export interface OtelMember {
  /** All 14 digits of the rejection threshold. */
  readonly threshold: string | undefined;
  /** All 14 digits of the explicit randomness. */
  readonly randomness: string | undefined;
  /** The other sub-keys as they came, in their order. */
  readonly others: readonly string[];
}

const emptyMember: OtelMember = Object.freeze({ threshold: undefined, randomness: undefined, others: [] });

/** Reads the value of `ot`. What is not well-formed is left out; other sub-keys are kept. */
export function readOtelMember(value: string | undefined): OtelMember {
  if (value === undefined || value === '' || value.length > maxMemberLength) return emptyMember;
  let threshold: string | undefined;
  let randomness: string | undefined;
  const others: string[] = [];
  for (const part of value.split(';')) {
    const text = part.slice(3);
    if (part.startsWith('th:')) threshold ??= thresholdForm.test(text) ? text.padEnd(digits, '0') : undefined;
    else if (part.startsWith('rv:')) randomness ??= randomnessForm.test(text) ? text : undefined;
    else if (part !== '') others.push(part);
  }
  return { threshold, randomness, others };
}

/**
 * Writes the value of `ot`: `th` without its trailing zeros, `rv`, then the other sub-keys, as many as fit into 256
 * characters.
 *
 * @returns The empty text when there is nothing to say.
 */
export function writeOtelMember({ threshold, randomness, others }: OtelMember): string {
  const parts: string[] = [];
  if (threshold !== undefined) parts.push(`th:${threshold.replace(/0+$/, '') || '0'}`);
  if (randomness !== undefined) parts.push(`rv:${randomness}`);
  let length = parts.join(';').length;
  for (const part of others) {
    length += part.length + 1;
    if (length > maxMemberLength) break;
    parts.push(part);
  }
  return parts.join(';');
}

/**
 * The rejection threshold of a probability: T = (1 - p) · 2^56, as 14 digits.
 *
 * @param probability - Above 0, at most 1; smaller than 2^-56 counts as 2^-56.
 */
export function thresholdOf(probability: number): string {
  if (probability >= 1) return zeroThreshold;
  const kept = BigInt(Math.max(1, Math.round(probability * whole)));
  return ((1n << 56n) - kept).toString(16).padStart(digits, '0');
}

/** The probability that a threshold stands for, above 0 and at most 1. */
export function probabilityOf(threshold: string): number {
  return Number((1n << 56n) - BigInt(`0x${threshold}`)) / whole;
}

/** The randomness of a trace: `rv`, else the last 56 bits of its id. */
export function randomnessOf(traceId: string, member: OtelMember): string {
  return member.randomness ?? traceId.slice(-digits);
}

/** Whether a trace of this randomness is kept. Digits of one length compare like the numbers they stand for. */
export function passes(randomness: string, threshold: string): boolean {
  return randomness >= threshold;
}

/** A randomness that passes a threshold, uniform among those that do: for a decision that was not made by it. */
export function randomnessAbove(threshold: string, random: () => number): string {
  const lowest = BigInt(`0x${threshold}`);
  const room = (1n << 56n) - lowest;
  // 53 bits of chance are all that a number has; the rest of the 56 is a second draw.
  const chance = (BigInt(Math.floor(random() * 2 ** 28)) << 28n) + BigInt(Math.floor(random() * 2 ** 28));
  return (lowest + ((chance * room) >> 56n)).toString(16).padStart(digits, '0');
}
