// Serves the files of one folder over HTTP: ETag, ranges, ready-made gzip, a 404 page, nothing outside of the folder,
// no hidden file. Reads PORT; ends on SIGTERM when the answers under way are sent.

import { createReadStream, readFileSync } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = await realpath(join(here, '..', readFileSync(join(here, 'root'), 'utf8')));
const gzipRoot = join(here, 'gzip');

const types = {
  '.html': 'text/html; charset=utf-8',
  '.htm': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.xml': 'application/xml',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.avif': 'image/avif',
  '.ico': 'image/x-icon',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
  '.pdf': 'application/pdf',
  '.mp4': 'video/mp4',
  '.webm': 'video/webm',
  '.mp3': 'audio/mpeg',
  '.wasm': 'application/wasm',
};

/** What belongs to the deployment and not to the site, when the site is the whole source. */
const notServed = new Set(['/Procfile', '/static.json', '/Dockerfile']);

/** The path below root that a URL names, or undefined for one that must not be looked at. */
function pathOf(url) {
  let path;
  try {
    path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
  } catch {
    return undefined;
  }
  if (path.includes('\0') || path.includes('\\') || notServed.has(path)) return undefined;
  const parts = path.split('/');
  if (parts.some((part) => part.startsWith('.') && part !== '.well-known')) return undefined;
  return path;
}

/** An open regular file below root with what the answer needs, or undefined. Links out of root are not followed. */
async function openFile(path) {
  const full = await realpath(join(root, path)).catch(() => undefined);
  if (!full || (full !== root && !full.startsWith(root + sep))) return undefined;
  const handle = await open(full, 'r').catch(() => undefined);
  const stat = await handle?.stat();
  if (stat?.isFile()) return { handle, stat, full };
  await handle?.close();
  return stat?.isDirectory() ? { isFolder: true } : undefined;
}

async function find(path) {
  const direct = path.endsWith('/') ? await openFile(`${path}index.html`) : await openFile(path);
  if (direct && !direct.isFolder) return { ...direct, path: path.endsWith('/') ? `${path}index.html` : path };
  if (direct?.isFolder) return { redirect: `${path}/` };
  if (path.endsWith('/') || extname(path)) return undefined;
  const page = await openFile(`${path}.html`);
  return page && !page.isFolder ? { ...page, path: `${path}.html` } : undefined;
}

/** `bytes=0-99` of a size, undefined for none or one to ignore, `bad` for one that cannot be satisfied. */
function rangeOf(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(size - 1, Number(match[2]));
  return start > end || start >= size ? 'bad' : { start, end };
}

async function answer(request, response) {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return send(response, 405, { allow: 'GET, HEAD' }, 'Only GET and HEAD are answered here.\n');
  const path = pathOf(request.url);
  const found = path === undefined ? undefined : await find(path);
  if (found?.redirect) {
    const query = request.url.indexOf('?');
    // A path that begins with two slashes would name another host.
    const location = encodeURI(found.redirect.replace(/^\/+/, '/')) + (query < 0 ? '' : request.url.slice(query));
    return send(response, 301, { location }, '');
  }
  if (!found) return sendNotFound(request, response);
  await sendFile(request, response, found, 200);
}

async function sendNotFound(request, response) {
  const page = await openFile('/404.html');
  if (!page || page.isFolder) return send(response, 404, {}, 'There is no such page.\n');
  await sendFile(request, response, { ...page, path: '/404.html' }, 404);
}

async function sendFile(request, response, file, status) {
  const type = types[extname(file.full).toLowerCase()] ?? 'application/octet-stream';
  let { handle, stat } = file;
  const headers = {
    'content-type': type,
    'x-content-type-options': 'nosniff',
    'last-modified': stat.mtime.toUTCString(),
    'cache-control': 'public, max-age=0, must-revalidate',
    'accept-ranges': 'bytes',
  };
  let tag = `${stat.size.toString(16)}-${Math.floor(stat.mtimeMs).toString(16)}`;
  const packed = await open(join(gzipRoot, `${file.path}.gz`), 'r').catch(() => undefined);
  if (packed) {
    headers.vary = 'accept-encoding';
    if (/\bgzip\b(?!;\s*q=0(\.0*)?\s*(,|$))/i.test(request.headers['accept-encoding'] ?? '') && !request.headers.range) {
      await handle.close();
      handle = packed;
      stat = await packed.stat();
      headers['content-encoding'] = 'gzip';
      tag += '-gzip';
    } else await packed.close();
  }
  headers.etag = `"${tag}"`;
  const isSame = request.headers['if-none-match']?.split(/\s*,\s*/).some((one) => one.replace(/^W\//, '') === headers.etag);
  if (status === 200 && isSame) return close(handle, response, 304, headers);
  const isRangeValid = !request.headers['if-range'] || request.headers['if-range'] === headers.etag;
  const range = status === 200 && isRangeValid ? rangeOf(request.headers.range, stat.size) : undefined;
  if (range === 'bad') return close(handle, response, 416, { 'content-range': `bytes */${stat.size}` });
  if (range) headers['content-range'] = `bytes ${range.start}-${range.end}/${stat.size}`;
  const { start, end } = range ?? { start: 0, end: stat.size - 1 };
  headers['content-length'] = end - start + 1;
  if (request.method === 'HEAD' || stat.size === 0) return close(handle, response, range ? 206 : status, headers);
  response.writeHead(range ? 206 : status, headers);
  const body = createReadStream('', { fd: handle, start, end });
  body.on('error', () => response.destroy());
  response.on('close', () => body.destroy());
  body.pipe(response);
}

async function close(handle, response, status, headers) {
  await handle.close();
  response.writeHead(status, headers).end();
}

function send(response, status, headers, text) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(text), ...headers });
  response.end(text);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(`${request.method} ${request.url}: ${error.message}`);
    if (response.headersSent) response.destroy();
    else send(response, 500, {}, 'The file could not be read.\n');
  });
});
const port = Number(process.env.PORT ?? 8080);
server.listen(port, () => console.log(`serving ${root} on port ${port}`));
process.once('SIGTERM', () => server.close(() => process.exit(0)));
