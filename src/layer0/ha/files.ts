// The two files of ha: a crash leaves the old text or the new one, and what was written is on the disk.

import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode } from '#core/errors';
import { parser } from '#core/schema';
import { type MemberPlan, memberPlanSchema, type Place, placeSchema } from './wire.ts';

const placeParser = parser(placeSchema);
const planParser = parser(memberPlanSchema);

export class HaFiles {
  readonly #placePath: string;
  readonly #planPath: string;

  constructor(home: string) {
    this.#placePath = join(home, 'etcd.json');
    this.#planPath = join(home, 'etcd-member.json');
  }

  async readPlace(): Promise<Place | undefined> {
    const value = await readJson(this.#placePath);
    return value === undefined ? undefined : placeParser.parse(value, this.#placePath);
  }

  writePlace(place: Place): Promise<void> {
    return writeJson(this.#placePath, place);
  }

  async readPlan(): Promise<MemberPlan | undefined> {
    const value = await readJson(this.#planPath);
    return value === undefined ? undefined : planParser.parse(value, this.#planPath);
  }

  /** Undefined: this machine runs no member. */
  async writePlan(plan: MemberPlan | undefined): Promise<void> {
    if (plan) await writeJson(this.#planPath, plan);
    else await rm(this.#planPath, { force: true });
  }
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  const part = `${path}.part`;
  const file = await open(part, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
