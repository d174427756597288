// `gantry deploy`

import { newId } from '#core/ids';
import type { Deploy } from '#layer1/controller/client';
import type { Call, Connection } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { followReleased, parseVersion } from '../follow-deployment.ts';

export async function deploy(call: Call): Promise<number | undefined> {
  const { args } = call;
  const [image, release] = [args.text('image'), args.text('release')];
  if ((image === undefined) === (release === undefined))
    throw cliErrors.usage(
      'say what to deploy: --image REF, or --release VERSION; code is deployed with `git push`',
    );
  if (release !== undefined && args.has('port'))
    throw cliErrors.usage('--port goes with --image: a release has its ports');
  const version = release === undefined ? undefined : parseVersion(release);
  const body = { ...optionsOf(call), ...(version === undefined ? {} : { release: version }) };
  const target = await call.target();
  const wanted =
    image === undefined ? body : { ...body, image: await imageOf(call, target, image) };
  const options = { idempotencyKey: newId('req') };
  return await followReleased(call, target, await target.api.deploy(target.app, wanted, options));
}

function optionsOf({ args }: Call): Deploy {
  const port = args.number('port', [1, 65_535]);
  const description = args.text('message');
  return {
    ...(description === undefined ? {} : { description }),
    ...(port === undefined ? {} : { processes: { web: { port } } }),
  };
}

/** A reference as it is; `-` is imported first, after a look that the app is there to take it. */
async function imageOf(
  { io, out }: Call,
  { api, app }: Connection & { app: string },
  reference: string,
): Promise<string> {
  if (reference !== '-') return reference;
  if (io.stdin.isTTY)
    throw cliErrors.usage(
      '--image - reads a `docker save` stream: docker save IMAGE | gantry deploy --image -',
    );
  await api.readApp(app);
  const images = await api.importImages(io.stdin);
  const [image] = images;
  if (!image) throw cliErrors.failed('the stream had no image in it; make it with `docker save`');
  if (images.length > 1) {
    const names = images.map(({ id, tags }) => tags[0] ?? id).join(', ');
    throw cliErrors.failed(
      `the stream had ${images.length} images, ${names}; they are on the cluster now: name one with --image`,
    );
  }
  out.line(`Imported ${image.tags[0] ?? image.id}`);
  return image.id;
}
