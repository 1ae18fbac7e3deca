/** A kind of secret that can be told by its form. */
export interface ScanRule {
  readonly id: string;
  /** With the flag `g`; its first group, where there is one, is the secret itself. */
  readonly pattern: RegExp;
  /** Looks once more at what the pattern found. */
  readonly accepts?: (secret: string) => boolean;
}

/** Forms that vendors document for their credentials, and the two ways in which passwords stand in sources. */
export const scanRules: readonly ScanRule[] = [
  { id: 'private-key', pattern: /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/g },
  { id: 'aws-access-key', pattern: /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/g },
  { id: 'github-token', pattern: /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b/g },
  { id: 'gitlab-token', pattern: /\bglpat-[\w-]{20,}/g },
  { id: 'slack-token', pattern: /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/g },
  { id: 'stripe-key', pattern: /\b[sr]k_live_[A-Za-z0-9]{20,}\b/g },
  { id: 'google-api-key', pattern: /\bAIza[\w-]{35}(?![\w-])/g },
  { id: 'npm-token', pattern: /\bnpm_[A-Za-z0-9]{36}\b/g },
  { id: 'vault-token', pattern: /\bhv[bs]\.[\w-]{24,}/g },
  { id: 'json-web-token', pattern: /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}/g },
  {
    id: 'url-password',
    pattern: /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:@/'"<>]{1,100}:([^\s:@/'"<>]{3,200})@[\w[]/gi,
    accepts: isNoPlaceholder,
  },
  {
    id: 'assigned-secret',
    pattern:
      /\b(?:[\w.-]{0,40}[_.-])?(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)\b["']?\s{0,5}[:=]\s{0,5}["']([^"'\s]{8,200})["']/gi,
    accepts: (secret) => isNoPlaceholder(secret) && bitsPerCharacter(secret) >= 3,
  },
];

const placeholder =
  /^(?:\$\{?|%|<|\{\{|\*+$|x+$|\.+$|secret:\/\/|(?:your|my|the|some|example|changeme|placeholder|redacted)\b)/i;

function isNoPlaceholder(secret: string): boolean {
  return !placeholder.test(secret);
}

/** Shannon's entropy of the characters: words have about 2.5 bits, random texts of some length more than 3. */
function bitsPerCharacter(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}
