import { coreError } from '../../errors/core-error.js';

/** One element of a document: its own text, and the elements in it. Prefixes of names are dropped. */
export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

const maxDepth = 32;
const builtIn: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

interface OpenElement {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

/**
 * Reads the plain XML that S3 answers with: elements, text, comments, CDATA. Attributes are skipped. Document types and
 * entities of one's own are refused, so nothing can be expanded or fetched.
 *
 * @throws {MnopsError} `MNOPS_CORE_RESPONSE_INVALID`
 */
export function parseXml(source: string): XmlElement {
  const root: OpenElement = { name: '', text: '', children: [] };
  const open: OpenElement[] = [root];
  let at = 0;
  while (at < source.length) {
    const current = open.at(-1) ?? root;
    const next = source.indexOf('<', at);
    const text = source.slice(at, next < 0 ? source.length : next);
    current.text += decodedText(text);
    if (next < 0) break;
    at = readMarkup(source, next, open);
  }
  const [document] = root.children;
  if (open.length !== 1 || document === undefined || root.children.length !== 1 || root.text.trim() !== '')
    throw broken();
  return document;
}

/** Consumes one piece of markup that begins at `from`; returns where the next text begins. */
function readMarkup(source: string, from: number, open: OpenElement[]): number {
  if (source.startsWith('<!--', from)) return after(source, '-->', from + 4);
  if (source.startsWith('<?', from)) return after(source, '?>', from + 2);
  const current = open.at(-1);
  if (source.startsWith('<![CDATA[', from)) {
    const end = after(source, ']]>', from + 9);
    if (current !== undefined) current.text += source.slice(from + 9, end - 3);
    return end;
  }
  if (source.startsWith('<!', from)) throw broken();
  const end = tagEnd(source, from);
  const tag = source.slice(from + 1, end - 1);
  if (tag.startsWith('/')) {
    const closed = open.pop();
    const parent = open.at(-1);
    if (closed === undefined || parent === undefined || closed.name !== localName(tag.slice(1))) throw broken();
    parent.children.push(closed);
    return end;
  }
  const empty = tag.endsWith('/');
  const element: OpenElement = { name: localName(empty ? tag.slice(0, -1) : tag), text: '', children: [] };
  if (empty) current?.children.push(element);
  else open.push(element);
  if (open.length > maxDepth) throw broken();
  return end;
}

/** Where a tag ends; a `>` within a quoted attribute does not end it. */
function tagEnd(source: string, from: number): number {
  let quote = '';
  for (let at = from + 1; at < source.length; at += 1) {
    const character = source[at] ?? '';
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '>') return at + 1;
  }
  throw broken();
}

function after(source: string, mark: string, from: number): number {
  const at = source.indexOf(mark, from);
  if (at < 0) throw broken();
  return at + mark.length;
}

function localName(tag: string): string {
  const name = /^[^\s/]+/.exec(tag)?.[0] ?? '';
  const local = name.slice(name.indexOf(':') + 1);
  if (!/^[A-Za-z_][\w.-]*$/.test(local)) throw broken();
  return local;
}

function decodedText(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&([^;&\s]{0,12});?/g, (whole, name: string) => {
    const character = whole.endsWith(';') ? (builtIn[name] ?? numeric(name)) : undefined;
    if (character === undefined) throw broken();
    return character;
  });
}

function numeric(name: string): string | undefined {
  const match = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
  if (match === null) return undefined;
  const point = match[1] === undefined ? Number(match[2]) : Number.parseInt(match[1], 16);
  return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : undefined;
}

function broken(): Error {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', 'The answer is not the XML that S3 speaks.');
}

/** Text of the first child with that name. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

/** Text, safe inside an element. */
export function escapedXml(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
