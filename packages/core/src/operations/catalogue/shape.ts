/** What one operation says about itself when it runs. */
export interface OperationEntry {
  /** Fields that its events may carry beside their duration and code. Never a secret. */
  readonly fields: readonly string[];
  /** Those of the fields that have few values, so that they are safe as metric labels. */
  readonly labelFields: readonly string[];
  /** It happens by itself, again and again: of interest as a part of something, not alone. Default false. */
  readonly routine?: boolean;
  /** A run that does not have this field true is over at once: it is worth an event, and no span. */
  readonly instantUnless?: string;
}
