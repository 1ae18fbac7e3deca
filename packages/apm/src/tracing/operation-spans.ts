import {
  type BegunOperation,
  type CarriedOperation,
  carryOperations,
  operationCatalogue,
} from '@mnops/core/operations';
import type { Attributes, Context } from '@opentelemetry/api';
import type { OtelRuntime } from './otel-compat.js';

/** Spans of operations, while they are made. */
export interface OperationSpans {
  /** No operation gets a span any more; those that have one end it. */
  pause(): void;
  /** Spans of operations under way are not ended any more either. */
  end(): void;
}

/** Number of OpenTelemetry's status for a failure. */
const failed = 2;

/**
 * Makes spans of what the MNOps packages do in this process: `secrets read`, `dr backup`, `orchestration step`. Each is a
 * child of the span that was active, and the parent of what the operation does. Routine work, such as an evaluation of
 * alert rules, becomes a span only inside another one, and none where it is over at once, as a record in memory is; this
 * package's own operations never do.
 *
 * @param packages - Names such as `secrets`.
 */
export function operationSpans(runtime: OtelRuntime, packages: readonly string[]): OperationSpans {
  let paused = false;
  const begin = (begun: BegunOperation): CarriedOperation<Context> | undefined =>
    paused ? undefined : spanOf(runtime, begun);
  const { storage } = runtime;
  const end = carryOperations<Context>({ storage, begin }, { packages });
  return {
    pause() {
      paused = true;
    },
    end,
  };
}

function spanOf(runtime: OtelRuntime, begun: BegunOperation): CarriedOperation<Context> | undefined {
  const active = runtime.activeContext();
  const { routine = false, instantUnless } = operationCatalogue[begun.name];
  if (instantUnless !== undefined && begun.context[instantUnless] !== true) return undefined;
  if (routine && !runtime.hasSpan(active)) return undefined;
  const span = runtime.tracer.startSpan(
    `${begun.package} ${begun.operation}`,
    { attributes: attributesOf(begun.context) },
    active,
  );
  return {
    store: runtime.withSpan(active, span),
    end(context, failure) {
      span.setAttributes(attributesOf(context));
      if (failure !== undefined) {
        span.setAttribute('error.type', failure.code);
        span.setStatus({ code: failed });
      }
      span.end();
    },
  };
}

function attributesOf(context: BegunOperation['context']): Attributes {
  const attributes: Attributes = {};
  for (const [field, value] of Object.entries(context)) {
    if (value !== null) attributes[attributeName(field)] = value;
  }
  return attributes;
}

/** `newBytes` becomes `mnops.new_bytes`. */
function attributeName(field: string): string {
  return `mnops.${field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}
