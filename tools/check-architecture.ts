// Is every import one that architecture.json allows? Prints each that is not and exits 1.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { readSources, root, type SourceFile } from './source-files.ts';

export interface Architecture {
  layers: Record<string, string[]>;
  components: Record<string, string[]>;
  doors: string[];
  testDoors: string[];
  composers: string[];
  packages: Record<string, string[]>;
  childProcesses: string[];
  /** Layers whose components do not call each other in a circle. */
  acyclic: string[];
}

export interface Problem {
  path: string;
  line: number;
  message: string;
}

/** `src/layer0/store/engine/x.ts` -> `layer0/store`; `src/core/x.ts` -> `core`; undefined outside of src. */
export function componentOf(path: string, architecture: Architecture): string | undefined {
  const [top, layer, component] = path.split('/');
  if (top !== 'src' || layer === undefined) return undefined;
  return architecture.components[layer] ? `${layer}/${component}` : layer;
}

/** Folders below src that are components, in the order of the layers. */
export function componentsOf({ layers, components }: Architecture): string[] {
  return Object.keys(layers).flatMap(
    (layer) => components[layer]?.map((name) => `${layer}/${name}`) ?? [layer],
  );
}

export function checkFile(file: SourceFile, architecture: Architecture): Problem[] {
  const component = componentOf(file.path, architecture);
  if (component === undefined) return [];
  const report = (line: number, message: string): Problem => ({ path: file.path, line, message });
  const problems = checkPlace(file, component, architecture).map((message) => report(1, message));
  for (const { specifier, line } of file.imports) {
    const message = checkImport(specifier, file, component, architecture);
    if (message) problems.push(report(line, message));
  }
  return [...problems, ...checkPurity(file, report)];
}

/** Components whose doors this one imports, tests left out; core is everyone's and not named. */
export function usesOf(
  component: string,
  architecture: Architecture,
  sources: readonly SourceFile[],
): string[] {
  const used = new Set<string>();
  for (const { path, imports } of sources) {
    if (isTest(path) || componentOf(path, architecture) !== component) continue;
    for (const { specifier } of imports) {
      if (!specifier.startsWith('#')) continue;
      const other = componentOf(`src/${specifier.slice(1)}.ts`, architecture);
      if (other !== undefined && other !== 'core' && other !== component) used.add(other);
    }
  }
  return [...used].sort();
}

/** Each import by which a component of an acyclic layer calls one that calls it, directly or through others. */
export function checkCycles(sources: readonly SourceFile[], architecture: Architecture): Problem[] {
  const known = componentsOf(architecture);
  const uses = new Map(known.map((name) => [name, usesOf(name, architecture, sources)]));
  return sources.flatMap(({ path, imports }) => {
    const from = componentOf(path, architecture);
    if (from === undefined || isTest(path)) return [];
    if (!architecture.acyclic.includes(from.split('/')[0] ?? '')) return [];
    return imports.flatMap(({ specifier, line }) => {
      const to = specifier.startsWith('#')
        ? componentOf(`src/${specifier.slice(1)}.ts`, architecture)
        : undefined;
      if (to === undefined || to === from || !isReached(from, to, uses)) return [];
      const message = `${from} and ${to} call each other: whose is what this file needs?`;
      return [{ path, line, message }];
    });
  });
}

function isReached(goal: string, start: string, uses: ReadonlyMap<string, string[]>): boolean {
  const seen = new Set([start]);
  for (const name of seen) for (const next of uses.get(name) ?? []) seen.add(next);
  return seen.has(goal);
}

function checkPlace(file: SourceFile, component: string, architecture: Architecture): string[] {
  const [layer = '', name] = component.split('/');
  if (!(layer in architecture.layers)) return [`src/${layer} is not a layer of architecture.json`];
  const known = architecture.components[layer];
  if (known && name !== undefined && !known.includes(name)) {
    return [`${component} is not a component of architecture.json`];
  }
  return /process\.env/.test(file.text) &&
    !/^src\/core\/config\.ts$/.test(file.path) &&
    !isTest(file.path)
    ? ['process.env is read only in core/config and bin/']
    : [];
}

function checkImport(
  specifier: string,
  file: SourceFile,
  component: string,
  architecture: Architecture,
): string | undefined {
  if (specifier.startsWith('.')) return checkRelative(specifier, file, component, architecture);
  if (specifier.startsWith('#')) return checkDoor(specifier, file, component, architecture);
  if (specifier.startsWith('node:')) {
    const isAllowed = architecture.childProcesses.includes(component) || isTest(file.path);
    return specifier === 'node:child_process' && !isAllowed
      ? `${component} may not start child processes`
      : undefined;
  }
  const name = packageOf(specifier);
  const allowed = architecture.packages[component] ?? [];
  return allowed.includes(name) || isTest(file.path)
    ? undefined
    : `${component} may not import the package ${name}`;
}

function checkRelative(
  specifier: string,
  file: SourceFile,
  component: string,
  architecture: Architecture,
): string | undefined {
  const target = posix.join(dirname(file.path), specifier);
  if (!existsSync(join(root, target))) return `${specifier} does not exist`;
  return componentOf(target, architecture) === component
    ? undefined
    : `${specifier} leaves the component: import through its door (#...)`;
}

function checkDoor(
  specifier: string,
  file: SourceFile,
  component: string,
  architecture: Architecture,
): string | undefined {
  const target = `src/${specifier.slice(1)}.ts`;
  if (!existsSync(join(root, target))) return `${specifier} does not exist`;
  const other = componentOf(target, architecture) ?? '';
  const [fromLayer = '', toLayer = ''] = [component.split('/')[0], other.split('/')[0]];
  if (toLayer === 'core')
    return component === 'core' ? 'core imports core by relative path' : undefined;
  if (other === component) return 'a component imports itself by relative path';
  if (!architecture.layers[fromLayer]?.includes(toLayer))
    return `${fromLayer} may not import ${toLayer}`;
  const door = target.slice(`src/${other}/`.length, -'.ts'.length);
  const isWide = architecture.composers.includes(component) || isTest(file.path);
  const doors = isWide ? architecture.testDoors : architecture.doors;
  return doors.includes(door) ? undefined : `${specifier} is no door: use ${doors.join(', ')}`;
}

const impure =
  /\bawait\b|\basync\b|Date\.now|new Date\(\)|Math\.random|performance\.now|\bprocess\.(?:env|pid|argv|hrtime|nextTick|std\w+)|setTimeout|from 'node:(fs|net|http|https|child_process|dgram|timers)/;

function checkPurity(
  file: SourceFile,
  report: (line: number, message: string) => Problem,
): Problem[] {
  if (!file.path.includes('/decide/') || isTest(file.path)) return [];
  return file.text.split('\n').flatMap((text, index) => {
    const found = text.replace(/\/\/.*|^\s*\*.*|\/\*.*?\*\//g, '').match(impure);
    return found ? [report(index + 1, `decide/ is pure: ${found[0]}`)] : [];
  });
}

/** `@scope/name/sub` -> `@scope/name`, `name/sub` -> `name`. */
export function packageOf(specifier: string): string {
  const parts = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1);
  return parts.join('/');
}

/** Files that only tests load: they may import more. */
export function isTest(path: string): boolean {
  return /\.test\.ts$|\/(?:contract|fake|test-bed)\.ts$/.test(path);
}

export function readArchitecture(): Architecture {
  return JSON.parse(readFileSync(join(root, 'architecture.json'), 'utf8')) as Architecture;
}

function main(): void {
  const architecture = readArchitecture();
  const sources = readSources('src/**/*.ts');
  const problems = [
    ...sources.flatMap((file) => checkFile(file, architecture)),
    ...checkCycles(sources, architecture),
  ];
  for (const { path, line, message } of problems) console.error(`${path}:${line}: ${message}`);
  if (problems.length > 0) process.exitCode = 1;
  else console.log('architecture: every import is allowed');
}

if (import.meta.main) main();
