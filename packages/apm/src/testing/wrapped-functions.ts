import http from 'node:http';
import https from 'node:https';

/** The functions of Node that tracing of HTTP puts its own in place of, as they are now. */
export function wrappedFunctions(): readonly unknown[] {
  return [http.request, http.get, https.request, https.get, http.Server.prototype.emit, https.Server.prototype.emit];
}
