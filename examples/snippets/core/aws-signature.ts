import assert from 'node:assert/strict';
import { signAwsRequest } from '@mnops/core/http';

// #region sign
const headers = signAwsRequest(
  { method: 'GET', url: 'https://examplebucket.s3.amazonaws.com/test.txt', headers: { range: 'bytes=0-9' } },
  {
    credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
    region: 'us-east-1',
    service: 's3',
    atMs: Date.parse('2013-05-24T00:00:00Z'),
  },
);
assert.match(headers['authorization'] ?? '', /^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\/20130524/);
// #endregion
