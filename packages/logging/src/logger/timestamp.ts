/**
 * Makes ISO 8601 text of epoch milliseconds, remembering the last millisecond and the last second: most calls of a busy
 * program fall into the same one.
 */
export function timestampText(): (ms: number) => string {
  let lastMs = Number.NaN;
  let lastSecond = Number.NaN;
  let secondText = '';
  let text = '';
  return (ms) => {
    if (ms === lastMs) return text;
    const second = Math.floor(ms / 1000);
    if (second !== lastSecond) {
      // Throws RangeError for a time that no Date can hold, before anything was remembered.
      secondText = new Date(second * 1000).toISOString().slice(0, -4);
      lastSecond = second;
    }
    const rest = Math.floor(ms - second * 1000);
    text = `${secondText}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
    lastMs = ms;
    return text;
  };
}
