// `gantry token`, `token create`, `token revoke`

import type { Call } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { agoText } from '../units.ts';

export async function listTokens(call: Call): Promise<undefined> {
  const { out, args, io } = call;
  const { api } = await call.connect();
  const [tokens, me] = await Promise.all([api.listTokens(), api.whoAmI()]);
  if (args.has('json')) return out.json(tokens);
  const now = io.clock.now();
  out.table(
    ['ID', 'NAME', 'MADE', ''],
    tokens.map(({ id, name, createdAt }) => [
      id,
      name,
      agoText(createdAt, now),
      id === me.id ? 'this one' : '',
    ]),
  );
}

/** The token alone on stdout, so that `TOKEN=$(gantry token create ci)` works. */
export async function createToken(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api, cluster } = await call.connect();
  const token = await api.createToken(args.words[0] ?? '');
  if (args.has('json')) return out.json(token);
  out.line(token.token);
  out.note(`Keep it: it is not shown again. To use it: gantry login ${cluster.url}`);
}

export async function revokeToken(call: Call): Promise<undefined> {
  const { out, args } = call;
  const [text = ''] = args.words;
  const { api } = await call.connect();
  const tokens = await api.listTokens();
  const found = tokens.filter(({ id, name }) => id === text || name === text);
  const [token] = found;
  if (!token) throw cliErrors.notFound(`there is no token ${text}; gantry token lists them`);
  if (found.length > 1)
    throw cliErrors.usage(
      `${found.length} tokens are called ${text}; say which by id: ${found.map(({ id }) => id).join(', ')}`,
    );
  await api.revokeToken(token.id);
  out.line(`${token.name} (${token.id}) is revoked`);
}
