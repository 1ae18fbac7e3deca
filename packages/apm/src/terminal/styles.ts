/** How text is laid out for a terminal. */
export interface TextOptions {
  /** ANSI colours. Default false. */
  readonly color?: boolean | undefined;
  /** Columns; longer lines are cut. Default 100, at least 40. */
  readonly width?: number | undefined;
}

const codes = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2, bold: 1 } as const;

/** Name of a style. */
export type Style = keyof typeof codes;

/** Wraps text in the codes of a style; without colour it returns the text. */
export type Painter = (style: Style, text: string) => string;

export function painterOf({ color = false }: TextOptions): Painter {
  return color ? (style, text) => `\u001b[${codes[style]}m${text}\u001b[0m` : (_style, text) => text;
}

export function widthOf({ width = 100 }: TextOptions): number {
  return Math.max(40, Math.trunc(width));
}

/** Text for one line: what could move the cursor or hide text is replaced, so that a span's name cannot deceive a terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

/** Cut to a number of characters, the last of them `…` when something is missing; padded when shorter. */
export function fitted(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const characters = [...text];
  if (characters.length > width) return `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
  return align === 'left' ? text + ' '.repeat(width - characters.length) : ' '.repeat(width - characters.length) + text;
}

/** Milliseconds as people read them: `4.2 µs`, `0.31 ms`, `12.4 ms`, `3.10 s`. */
export function duration(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return '-';
  if (ms === 0) return '0 ms';
  const size = Math.abs(ms);
  if (size < 0.1) return `${(ms * 1_000).toFixed(1)} µs`;
  if (size < 10) return `${ms.toFixed(2)} ms`;
  if (size < 1_000) return `${ms.toFixed(1)} ms`;
  return size < 120_000 ? `${(ms / 1_000).toFixed(2)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

/** A share from 0 to 1 in percent. */
export function percent(share: number): string {
  if (share === 0) return '0 %';
  return share < 0.001 ? '< 0.1 %' : `${(share * 100).toFixed(1)} %`;
}
