// `gantry help`

import type { Call } from '../command.ts';
import { helpOf, overview } from '../help.ts';
import { findCommand } from '../registry.ts';
import { unknownCommand } from '../report.ts';

export async function showHelp({ args, io }: Call): Promise<undefined> {
  if (args.words.length === 0) {
    io.stdout.write(overview());
    return;
  }
  const found = findCommand(args.words);
  if (!found || found.rest.length > 0) throw unknownCommand(args.words);
  io.stdout.write(helpOf(found.spec));
}
