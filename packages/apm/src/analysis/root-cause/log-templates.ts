import type { LogRecord } from './inputs.js';

/** What lines have in common that say the same with other values. */
export interface LogTemplate {
  /** The words, `*` for what varies. */
  what: string;
  /** 0 nothing bad, 1 a warning, 2 an error. */
  readonly severity: number;
}

/** Bounds: templates of all services together, and what is read of one line. */
const maxTemplates = 5_000;
/** Templates that begin alike: a line that is new is compared with each of them. */
const maxAlike = 200;
const maxSkeletons = 20_000;
const maxCharacters = 400;
/** Words that two lines of one template share at least. */
const minAlike = 0.6;
/** Words at the begin that must be the same: level and logger are there. */
const headWords = 2;

interface Learned extends LogTemplate {
  words: string[];
}

/**
 * Sorts lines into templates: numbers, ids and times are taken out, then lines of one service that have the same number
 * of words, begin alike and share most words are one template. Beyond the bounds, lines that fit nowhere share one
 * template.
 */
export class LogTemplates {
  readonly #bySkeleton = new Map<string, Map<string, Learned>>();
  #skeletons = 0;
  readonly #byHead = new Map<string, Learned[]>();
  readonly #other: LogTemplate = { what: '(other)', severity: 0 };
  #count = 0;

  /** The template of a line. */
  of(line: LogRecord): LogTemplate {
    const end = line.message.indexOf('\n');
    // The same words with more lines below may be an exception, and the same without them none.
    const skeleton = skeletonOf(line.message, end) + (end === -1 ? '' : '\n');
    let own = this.#bySkeleton.get(line.service);
    if (own === undefined) {
      own = new Map();
      this.#bySkeleton.set(line.service, own);
    }
    const known = own.get(skeleton);
    if (known !== undefined) return known;
    const template = this.#learn(line, skeleton);
    if (template === undefined) return this.#other;
    if (this.#skeletons < maxSkeletons) {
      own.set(skeleton, template);
      this.#skeletons += 1;
    }
    return template;
  }

  #learn(line: LogRecord, skeleton: string): Learned | undefined {
    const words = skeleton.split(separators).filter((word) => word !== '');
    const severity = severityOf(line);
    const head = JSON.stringify([line.service, severity, words.length, ...words.slice(0, headWords)]);
    const alike = this.#byHead.get(head) ?? [];
    for (const template of alike) {
      const shared = template.words.filter((word, index) => word === words[index]).length;
      if (shared < minAlike * words.length) continue;
      template.words = template.words.map((word, index) => (word === words[index] ? word : '*'));
      template.what = template.words.join(' ');
      return template;
    }
    if (this.#count >= maxTemplates || alike.length >= maxAlike) return undefined;
    this.#count += 1;
    const template: Learned = { words, what: words.join(' '), severity };
    alike.push(template);
    this.#byHead.set(head, alike);
    return template;
  }
}

const separators = /[\s[\](){},;="']+/;
// The first fourteen words: what follows is mostly a list of values.
const firstWords = /^[\s[\](){},;="']*(?:[^\s[\](){},;="']+[\s[\](){},;="']+){0,13}[^\s[\](){},;="']*/y;
// Numbers and times that stand alone, ids, numbers with a sign, short codes such as of seats; a number at the end of a
// name, such as a line of code, stays. In one expression, as each match costs more than the characters between them.
const values =
  /(?<!\w)(?:(?<!#)\d[\w.:/%+-]*|(?:\d|[a-fA-F](?=[a-fA-F-]*\d))[a-fA-F\d-]{7,}\b|(?<!#)[-+]\d[\w.:/%+-]*|[A-Za-z]{1,2}\d{2,}\b)/g;

function skeletonOf(message: string, end: number): string {
  const line = message.slice(0, end === -1 ? maxCharacters : Math.min(maxCharacters, end));
  // Where they end is enough: to have them told makes a list for each line.
  firstWords.lastIndex = 0;
  firstWords.test(line);
  return line.slice(0, firstWords.lastIndex).replace(values, '*');
}

const errors = /\b(?:error|fatal|critical|severe|panic|emergency|alert)\b/i;
const warnings = /\bwarn(?:ing)?\b/i;
const exceptions = /\b[A-Z]\w*(?:Exception|Error)\b|\bTraceback \(most recent|^\s+at [\w.$]+\(/m;
/** Words at the begin of a line that its level is looked for in. */
const levelCharacters = 80;

function severityOf({ level, message }: LogRecord): number {
  const stated = level ?? message.slice(0, levelCharacters);
  if (errors.test(stated) || exceptions.test(message.slice(0, 4 * maxCharacters))) return 2;
  return warnings.test(stated) ? 1 : 0;
}
