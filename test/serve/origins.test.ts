import { once } from 'node:events';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterAll, describe, expect, test } from 'vitest';
import type { ApiError } from '../../src/serve/apiError.ts';
import { keepOut } from '../../src/serve/origins.ts';

/** A server behind the middleware that says yes to whatever comes through. */
function listening(...allowed: Parameters<typeof keepOut>) {
  const app = new Hono();
  app.use(keepOut(...allowed));
  app.all('*', c => c.text('yes'));
  app.onError((error, c) => c.json({ error: error.message }, (error as ApiError).status as 403));
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  afterAll(() => server.close());
  return async (headers: Record<string, string>, method = 'POST') => {
    if (!server.listening) await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const json = { 'content-type': 'application/json', host: `127.0.0.1:${port}` };
    return new Promise<{ status: number; allowed?: string; text: string }>((resolve, reject) => {
      const sent = request({ port, method, path: '/v1/completions', headers: { ...json, ...headers } }, response => {
        let text = '';
        response.on('data', data => {
          text += data;
        });
        const allowed = response.headers['access-control-allow-origin'];
        response.on('end', () => resolve({ status: response.statusCode!, allowed, text }));
      });
      sent.on('error', reject).end(method === 'POST' ? '{}' : undefined);
    });
  };
}

describe('on this machine', () => {
  const ask = listening([], 'box.local');

  test.each([
    'localhost',
    'localhost:8000',
    'LOCALHOST',
    'app.localhost',
    '127.0.0.1',
    '127.8.9.1:1',
    '[::1]:80',
    'box.local',
  ])('it may be asked as %s', async host => expect((await ask({ host })).status).toBe(200));

  test.each([
    'evil.example',
    'evil.example:8000',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '192.168.1.5',
    '10.0.0.1:8000',
  ])('it is not asked as %s, which leads here by a name server alone', async host => {
    for (const method of ['GET', 'POST']) {
      const { status, text } = await ask({ host }, method);
      expect(status).toBe(403);
      expect(text).toContain('--allow-origin');
    }
  });

  test.each(['http://localhost:3000', 'http://127.0.0.1', 'https://[::1]:8443'])(
    'pages of %s may ask',
    async origin => {
      expect(await ask({ origin })).toMatchObject({ status: 200, allowed: origin });
      expect(await ask({ origin, 'access-control-request-method': 'POST' }, 'OPTIONS')).toMatchObject({
        status: 204,
        allowed: origin,
      });
    },
  );

  test.each(['https://evil.example', 'http://localhost.evil.example', 'null', 'file://', 'garbage'])(
    'pages of %s may not',
    async origin => {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const { status, allowed } = await ask({ origin }, method);
        expect(status).toBe(403);
        expect(allowed).toBeUndefined();
      }
    },
  );

  test.each([
    'text/plain',
    'text/plain;charset=UTF-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    '',
    'application/jsonp',
  ])('a body that a page may send without asking is refused: "%s"', async type => {
    expect((await ask({ 'content-type': type })).status).toBe(415);
    expect((await ask({ 'content-type': type }, 'GET')).status).toBe(200);
  });

  test.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON'])('%s is taken', async type => {
    expect((await ask({ 'content-type': type })).status).toBe(200);
  });
});

const askOfOne = listening(['https://app.example']);
const askOfAll = listening(['*']);

test('an origin that is allowed may ask, and be the name of the server; no other', async () => {
  expect(await askOfOne({ origin: 'https://app.example' })).toMatchObject({
    status: 200,
    allowed: 'https://app.example',
  });
  expect((await askOfOne({ host: 'app.example' })).status).toBe(200);
  expect((await askOfOne({ origin: 'http://app.example' })).status).toBe(403);
  expect((await askOfOne({ origin: 'https://app.example:444' })).status).toBe(403);
  expect((await askOfOne({ host: 'evil.example' })).status).toBe(403);
});

test('all may ask where all are allowed, still in JSON', async () => {
  expect(await askOfAll({ host: 'evil.example', origin: 'https://evil.example' })).toMatchObject({ status: 200 });
  expect((await askOfAll({ 'content-type': 'text/plain' })).status).toBe(415);
});
