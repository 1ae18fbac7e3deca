import { coreError } from '@mnops/core';

/** Tags that begin so are facts of the host. */
const annotationPrefix = 'mnops:annotation:';
const maxKeyLength = 128;
const maxValueLength = 256;

/** One tag as Secrets Manager has it. */
export interface AwsTag {
  readonly Key: string;
  readonly Value: string;
}

/** Tags of the user as Secrets Manager takes them: what does not fit its alphabet is `=` and base64url. */
export function userTags(tags: Readonly<Record<string, string>>): AwsTag[] {
  return Object.entries(tags).map(([name, value]) => fitting(`tag ${name}`, encoded(name), encoded(value)));
}

/** One annotation as a tag. */
export function annotationTag(name: string, value: string): AwsTag {
  return fitting(`annotation ${name}`, annotationKey(name), encoded(value));
}

/** Key of the tag of an annotation. */
export function annotationKey(name: string): string {
  return `${annotationPrefix}${encoded(name)}`;
}

/** Whether a tag is one that a put may take away. */
export function isUserKey(key: string): boolean {
  return !key.startsWith(annotationPrefix) && !/^aws:/i.test(key);
}

/** Tags of the user and annotations of the host. */
export function tagsOf(all: readonly AwsTag[]): {
  readonly tags: Record<string, string>;
  readonly annotations: Record<string, string>;
} {
  const tags: [string, string][] = [];
  const annotations: [string, string][] = [];
  for (const { Key, Value } of all) {
    if (Key.startsWith(annotationPrefix))
      annotations.push([decoded(Key.slice(annotationPrefix.length)), decoded(Value)]);
    else tags.push([decoded(Key), decoded(Value)]);
  }
  return { tags: Object.fromEntries(tags), annotations: Object.fromEntries(annotations) };
}

function encoded(text: string): string {
  const fits = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(text) && !/^(?:=|aws:|mnops:)/i.test(text);
  return fits ? text : `=${Buffer.from(text).toString('base64url')}`;
}

function decoded(text: string): string {
  if (!text.startsWith('=')) return text;
  const plain = Buffer.from(text.slice(1), 'base64url').toString();
  return encoded(plain) === text ? plain : text;
}

function fitting(what: string, Key: string, Value: string): AwsTag {
  if (Key.length <= maxKeyLength && Value.length <= maxValueLength) return { Key, Value };
  const limits = `${maxKeyLength} characters for a name and ${maxValueLength} for a value`;
  throw coreError('MNOPS_CORE_TOO_LARGE', `aws: the ${what} is longer than a tag of Secrets Manager: ${limits}.`, {
    provider: 'aws',
    remedy: 'Shorten it.',
  });
}
