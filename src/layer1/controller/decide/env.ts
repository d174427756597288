// Can these names and values be passed to a process? Refused whole, before anything is sealed or stored.

import { controllerErrors } from '../errors.ts';
import { envNamePattern, maxEnvTotalBytes, maxEnvValueBytes, maxEnvValues } from '../wire.ts';

const namePattern = new RegExp(envNamePattern);

export function checkEnv(values: Readonly<Record<string, string>>): void {
  refuseCount(values);
  let total = 0;
  for (const [name, value] of Object.entries(values)) {
    if (!namePattern.test(name) || name === '__proto__')
      throw controllerErrors.invalidConfig(
        `${JSON.stringify(name.slice(0, 80))} cannot name a variable: use letters, digits and _, not first a digit`,
      );
    if (name === 'PORT' || (name.startsWith('GANTRY_') && name !== 'GANTRY_BUILDPACK'))
      throw controllerErrors.invalidConfig(`${name} is set by Gantry itself; use another name`);
    if (value.includes('\0'))
      throw controllerErrors.invalidConfig(
        `the value of ${name} has a NUL byte, which no process can read`,
      );
    const bytes = Buffer.byteLength(value);
    if (bytes > maxEnvValueBytes)
      throw controllerErrors.configTooLarge(
        `the value of ${name} is ${bytes} bytes, ${maxEnvValueBytes} is the limit; keep it in a file or a store`,
      );
    total += bytes + name.length;
  }
  refuseTotal(total);
}

/** Sealed values are base64: four characters for three bytes, and 40 of their own. */
export function checkSealedTotal(sealedEnv: Readonly<Record<string, string>>): void {
  refuseCount(sealedEnv);
  let total = 0;
  for (const [name, sealed] of Object.entries(sealedEnv))
    total += name.length + Math.max(0, Math.floor((sealed.length * 3) / 4) - 40);
  refuseTotal(total);
}

function refuseCount(values: Readonly<Record<string, string>>): void {
  const count = Object.keys(values).length;
  if (count > maxEnvValues)
    throw controllerErrors.configTooLarge(
      `${count} config variables are too many, ${maxEnvValues} is the limit; keep them in a file or a store`,
    );
}

function refuseTotal(bytes: number): void {
  if (bytes > maxEnvTotalBytes)
    throw controllerErrors.configTooLarge(
      `the config of the app would be ${bytes} bytes, ${maxEnvTotalBytes} is the limit; keep large values in files or a store`,
    );
}
