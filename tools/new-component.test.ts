// Is a new component one that the house's own rules accept?

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documentRules } from './document-rules.ts';
import { planComponent, withComponent } from './new-component.ts';
import { rules } from './tidy.ts';

const architecture = { components: { layer0: ['host', 'store'] } };

test('its files keep every rule', () => {
  const files = planComponent('layer0', 'usage-meter', architecture);
  assert.ok(typeof files !== 'string');
  assert.equal(files.length, 5);
  for (const { path, text } of files) {
    const isDocument = path.endsWith('.md');
    const problems = isDocument
      ? documentRules.flatMap((rule) => rule.check({ path, text }))
      : rules.flatMap((rule) => rule.check({ path, text, imports: [] }));
    assert.deepEqual(problems, [], path);
  }
});

test('names that could not be a folder, and components that are there, are refused', () => {
  assert.match(String(planComponent('layer0', 'store', architecture)), /there already/);
  assert.match(String(planComponent('layer0', 'Usage', architecture)), /kebab-case/);
  assert.match(String(planComponent('layer9', 'usage', architecture)), /no components: one of/);
});

test('architecture.json keeps its other lines and its order', () => {
  const text = `${JSON.stringify({ layers: { core: [] }, ...architecture }, null, 2)}\n`;
  const changed = JSON.parse(withComponent(text, 'layer0', 'images')) as object;
  assert.deepEqual(changed, {
    layers: { core: [] },
    components: { layer0: ['host', 'images', 'store'] },
  });
});
