export { checkRestored, type ManifestSink, manifestSink, readManifest, type SnapshotManifest } from './manifest.js';
