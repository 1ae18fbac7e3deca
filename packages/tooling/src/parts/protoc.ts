import { findOnPath, type Part } from './part.js';
import { askProgram, printed, runProgram } from './program.js';

/** Protobuf's own compiler, which reads messages by their schema. */
export interface ProtocPart extends Part {
  readonly id: 'protoc';
  /** A message as protobuf's text format. */
  decode(
    message: Uint8Array,
    schema: { readonly folder: string; readonly file: string; readonly type: string },
  ): Promise<string>;
}

export function protoc(): ProtocPart {
  const path = findOnPath('protoc') ?? '';
  return {
    id: 'protoc',
    purpose: 'apm: a second reader of OTLP in protobuf',
    available: path !== '',
    get version() {
      return path === '' ? undefined : askProgram(path, ['--version'], /\d+\.\d+(?:\.\d+)?/);
    },
    installLine: 'apt-get install -y protobuf-compiler',
    async decode(message, { folder, file, type }) {
      const args = [`--decode=${type}`, '-I', folder, file];
      return printed(await runProgram(path, args, { input: message }), 'protoc');
    },
  };
}
