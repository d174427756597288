// Names under the platform's domain lead to the router, also those of a domain it was under before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routerSuffixes } from './router-suffixes.ts';

const platform = (domain: string) =>
  ['api', 'git'].map((label) => ({ domain: `${label}.${domain}`, isSystem: true }));
const app = (domain: string) => ({ domain, isSystem: false });
const tcp = { isSystem: false };

test('the domain of the platform is one, whatever routes there are', () => {
  assert.deepEqual(routerSuffixes([], 'b.test'), ['b.test']);
  assert.deepEqual(routerSuffixes([...platform('b.test'), tcp], 'b.test'), ['b.test']);
});

test('one it was under before stays while an app has a route there', () => {
  const routes = [...platform('a.test'), ...platform('b.test'), app('shop.b.test')];
  assert.deepEqual(routerSuffixes([...routes, app('shop.a.test')], 'b.test'), ['a.test', 'b.test']);
  assert.deepEqual(routerSuffixes([...routes, app('a.test')], 'b.test'), ['a.test', 'b.test']);
  assert.deepEqual(routerSuffixes(routes, 'b.test'), ['b.test']);
});

test('a domain of an app is none: its names may be elsewhere', () => {
  const routes = [...platform('b.test'), app('www.shop.example'), app('*.shop.example')];
  assert.deepEqual(routerSuffixes(routes, 'b.test'), ['b.test']);
});

test('a route under a new domain that lies below the old one does not keep the old one', () => {
  const routes = [...platform('example.test'), ...platform('apps.example.test')];
  const moved = [...routes, app('shop.apps.example.test')];
  assert.deepEqual(routerSuffixes(moved, 'apps.example.test'), ['apps.example.test']);
  assert.deepEqual(routerSuffixes([...moved, app('shop.example.test')], 'apps.example.test'), [
    'apps.example.test',
    'example.test',
  ]);
});
