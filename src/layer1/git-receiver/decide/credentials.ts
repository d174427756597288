// The token in an Authorization header: git's Basic (any user, the token as password), or Bearer.

/** Longest header looked at; ours are shorter than 100 characters. */
const maxHeaderLength = 1024;

export function tokenFrom(header: string | undefined): string | undefined {
  if (!header || header.length > maxHeaderLength) return undefined;
  const [scheme, value] = header.split(/\s+/, 2);
  if (!value) return undefined;
  if (/^bearer$/i.test(scheme ?? '')) return plain(value);
  if (!/^basic$/i.test(scheme ?? '')) return undefined;
  const text = Buffer.from(value, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const user = colon < 0 ? text : text.slice(0, colon);
  const password = colon < 0 ? '' : text.slice(colon + 1);
  return plain(password || user);
}

/** Printable ASCII only: it goes into a header of its own. */
function plain(token: string): string | undefined {
  return /^[\x21-\x7e]+$/.test(token) ? token : undefined;
}
