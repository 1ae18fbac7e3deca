/** Annotation in which a rotation tells every reader which old version is still accepted, and until when. */
export const graceAnnotation = 'mnops.rotation.grace';

/** An old version that is still accepted. */
export interface Grace {
  readonly version: string;
  /** Epoch milliseconds; `Infinity` while the rotation has not fixed it. */
  readonly untilMs: number;
}

/** The annotation's text. */
export function writeGrace({ version, untilMs }: Grace): string {
  return JSON.stringify({ version, untilMs: Number.isFinite(untilMs) ? untilMs : null });
}

/** The grace that a secret's annotations tell of, if any. */
export function readGrace(annotations: Readonly<Record<string, string>> | undefined): Grace | undefined {
  const text = annotations?.[graceAnnotation];
  if (text === undefined) return undefined;
  try {
    const { version, untilMs } = JSON.parse(text) as { readonly version?: unknown; readonly untilMs?: unknown };
    if (typeof version !== 'string') return undefined;
    return { version, untilMs: typeof untilMs === 'number' ? untilMs : Number.POSITIVE_INFINITY };
  } catch {
    return undefined;
  }
}
