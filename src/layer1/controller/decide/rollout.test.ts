// Does every step keep what is wanted healthy, whatever the scheduler picks, and does the way end?

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Random, seededRandom } from '#core/random';
import { deploymentStrategies } from '../wire.ts';
import {
  type Counts,
  certainlyHealthy,
  planRollout,
  type RolloutPlan,
  type RolloutView,
} from './rollout.ts';

const all = (quantity: number) => ({ quantity, live: quantity, healthy: quantity });

function aView(change: Partial<RolloutView> = {}): RolloutView {
  return {
    wanted: { web: 3 },
    target: {},
    others: new Map([['old', { web: all(3) }]]),
    strategy: 'one-by-one',
    batchSize: 2,
    isRollback: false,
    ...change,
  };
}

const old = (plan: RolloutPlan) => plan.others.get('old')?.web;

describe('a rollout', () => {
  test('begins with one new instance beside the old ones', () => {
    const plan = planRollout(aView());
    assert.deepEqual([plan.target.web, old(plan), plan.isDone], [1, 3, false]);
  });

  test('ends the old one of a singleton as it begins the new one, on the way back too', () => {
    for (const isRollback of [false, true]) {
      const others = new Map([['old', { web: all(1) }]]);
      const given = { wanted: { web: 1 }, singletons: new Set(['web']), others, isRollback };
      const plan = planRollout(aView(given));
      assert.deepEqual([plan.target.web, old(plan), plan.isDone], [1, 0, false]);
      const ended = new Map([['old', { web: { quantity: 0, live: 0, healthy: 0 } }]]);
      const done = planRollout(aView({ ...given, target: { web: all(1) }, others: ended }));
      assert.equal(done.isDone, true);
    }
  });

  test('of a type with ports of the machine ends an old one for each new one, and waits for its health', () => {
    const exclusive = new Set(['web']);
    const way: unknown[] = [];
    let [fresh, left] = [0, 3];
    for (let turn = 0; turn < 4; turn++) {
      const others = new Map([['old', { web: all(left) }]]);
      const plan = planRollout(aView({ target: { web: all(fresh) }, others, exclusive }));
      [fresh, left] = [plan.target.web ?? 0, old(plan) ?? 0];
      way.push([fresh, left]);
      const starting = { web: { quantity: fresh, live: fresh, healthy: fresh - 1 } };
      const waiting = new Map([['old', { web: all(left) }]]);
      const same = planRollout(aView({ target: starting, others: waiting, exclusive }));
      assert.deepEqual([same.target.web, old(same)], [fresh, left]);
    }
    assert.deepEqual(way, [
      [1, 2],
      [2, 1],
      [3, 0],
      [3, 0],
    ]);
  });

  test('does nothing while the new one is not healthy', () => {
    const starting = { web: { quantity: 1, live: 1, healthy: 0 } };
    const plan = planRollout(aView({ target: starting }));
    assert.deepEqual([plan.target.web, old(plan)], [1, 3]);
  });

  test('stops one old instance when the new one is healthy', () => {
    const plan = planRollout(aView({ target: { web: all(1) } }));
    assert.deepEqual([plan.target.web, old(plan)], [1, 2]);
  });

  test('is done when all new ones are healthy and no old one is asked for', () => {
    const others = new Map([['old', { web: all(0) }]]);
    assert.equal(planRollout(aView({ target: { web: all(3) }, others })).isDone, true);
  });

  test('starts everything at once when nothing runs yet', () => {
    assert.equal(planRollout(aView({ others: new Map() })).target.web, 3);
  });

  test('all at once keeps every old one until every new one is healthy', () => {
    const strategy = 'all-at-once';
    assert.equal(planRollout(aView({ strategy })).target.web, 3);
    const most = { web: { quantity: 3, live: 3, healthy: 2 } };
    assert.equal(old(planRollout(aView({ strategy, target: most }))), 3);
    assert.equal(old(planRollout(aView({ strategy, target: { web: all(3) } }))), 0);
  });

  test('in batches grows by the size of a batch', () => {
    assert.equal(planRollout(aView({ strategy: 'in-batches' })).target.web, 2);
  });

  test('rolling is one first, and then a quarter at a time', () => {
    const way: unknown[] = [];
    let [fresh, left] = [0, 10];
    for (let turn = 0; turn < 20 && (fresh < 10 || left > 0); turn++) {
      const others = new Map([['old', { web: all(left) }]]);
      const strategy = 'rolling';
      const view = aView({ wanted: { web: 10 }, target: { web: all(fresh) }, others, strategy });
      const plan = planRollout(view);
      [fresh, left] = [plan.target.web ?? 0, old(plan) ?? 0];
      way.push([fresh, left]);
    }
    const started = way.filter((_, turn) => turn % 2 === 0);
    assert.deepEqual(started, [
      [1, 10],
      [4, 9],
      [7, 6],
      [10, 3],
    ]);
    assert.deepEqual(way.at(-1), [10, 0]);
  });

  test('rolling stops as many old ones as new ones are steady, also when some find no room', () => {
    const target = { web: { quantity: 4, live: 4, healthy: 2 } };
    const others = new Map([['old', { web: all(9) }]]);
    const plan = planRollout(aView({ wanted: { web: 10 }, strategy: 'rolling', target, others }));
    assert.deepEqual([plan.target.web, old(plan)], [4, 8]);
  });

  test('does not trust old instances that are not healthy: it grows instead', () => {
    const others = new Map([['old', { web: { quantity: 3, live: 3, healthy: 1 } }]]);
    const plan = planRollout(aView({ target: { web: all(1) }, others }));
    assert.deepEqual([plan.target.web, old(plan)], [2, 3]);
  });

  test('follows a scale that comes on the way', () => {
    const others = new Map([['old', { web: all(2) }]]);
    const down = planRollout(aView({ wanted: { web: 1 }, target: { web: all(2) }, others }));
    assert.deepEqual([down.target.web, old(down)], [1, 0]);
    const up = planRollout(aView({ wanted: { web: 5 }, target: { web: all(1) }, others }));
    assert.deepEqual([up.target.web, old(up)], [2, 2]);
  });

  test('stops a process type that the new release lacks last', () => {
    const others = new Map([['old', { web: all(3), clock: all(1) }]]);
    assert.equal(planRollout(aView({ others })).others.get('old')?.clock, 1);
    const after = planRollout(aView({ others, target: { web: all(3) } }));
    assert.equal(after.others.get('old')?.clock, 0);
  });

  test('back to an old release first takes away what is not healthy, to make room', () => {
    const broken = { web: { quantity: 2, live: 2, healthy: 1 } };
    const view = aView({
      isRollback: true,
      target: { web: all(2) },
      others: new Map([['old', broken]]),
    });
    assert.equal(old(planRollout(view)), 1);
    const freed = new Map([['old', { web: all(1) }]]);
    assert.equal(planRollout({ ...view, others: freed }).target.web, 3);
  });

  test('back to an old release then takes away what that one has enough of without it', () => {
    const back = (healthy: number, left: number) => {
      const target = { web: { quantity: 3, live: 3, healthy } };
      const others = new Map([['old', { web: all(left) }]]);
      return old(planRollout(aView({ isRollback: true, target, others })));
    };
    assert.deepEqual([back(0, 2), back(1, 2), back(2, 2), back(3, 2)], [2, 2, 1, 0]);
    const target = { web: { quantity: 1, live: 1, healthy: 0 } };
    const others = new Map([['old', { web: { quantity: 2, live: 2, healthy: 1 } }]]);
    const exclusive = new Set(['web']);
    const ports = planRollout(aView({ isRollback: true, target, others, exclusive }));
    assert.deepEqual([ports.target.web, old(ports)], [1, 1], 'what is sick holds no port');
  });

  test('counts a formation that was just made smaller as if its healthy ones went', () => {
    assert.equal(certainlyHealthy({ quantity: 2, live: 3, healthy: 2 }), 1);
    assert.equal(certainlyHealthy({ quantity: 3, live: 2, healthy: 2 }), 2);
  });

  test('lets a formation that was just made smaller shrink before it grows again', () => {
    const others = new Map([['old', { web: all(2) }]]);
    const back = (live: number) => {
      const target = { web: { quantity: 0, live, healthy: live } };
      const plan = planRollout(aView({ wanted: { web: 2 }, isRollback: true, target, others }));
      return [plan.target.web, old(plan), plan.isDone];
    };
    assert.deepEqual(
      [back(1), back(0)],
      [
        [0, 2, false],
        [2, 2, false],
      ],
    );
  });
});

/**
 * A world in which jobs become healthy when they like. On the way forward its scheduler stops the healthy ones first, the
 * worst that could happen; on the way back it stops those that are not, which a rollback counts on to make room.
 */
class Model {
  readonly wanted: number;
  readonly #strategy: RolloutView['strategy'];
  readonly #random: Random;
  readonly batchSize: number;
  readonly #isRollback: boolean;
  readonly releases: Map<string, { quantity: number; jobs: boolean[] }>;

  constructor(random: Random, isRollback: boolean) {
    this.#random = random;
    this.#isRollback = isRollback;
    const upTo = (most: number) => Math.floor(random() * (most + 1));
    this.wanted = 1 + upTo(5);
    this.batchSize = 1 + upTo(3);
    this.#strategy = deploymentStrategies[upTo(3)] ?? 'one-by-one';
    const formation = (quantity: number) => ({
      quantity,
      jobs: Array.from({ length: quantity }, () => random() < 0.8),
    });
    this.releases = new Map([['new', formation(0)]]);
    for (let index = upTo(2); index > 0; index--)
      this.releases.set(`old-${index}`, formation(upTo(5)));
  }

  get healthy(): number {
    return [...this.releases.values()].flatMap(({ jobs }) => jobs.filter(Boolean)).length;
  }

  get total(): number {
    return [...this.releases.values()].reduce((sum, { quantity }) => sum + quantity, 0);
  }

  plan(): RolloutPlan {
    const counts = ({ quantity, jobs }: { quantity: number; jobs: boolean[] }): Counts => ({
      web: { quantity, live: jobs.length, healthy: jobs.filter(Boolean).length },
    });
    const fresh = this.releases.get('new');
    assert.ok(fresh);
    const others = [...this.releases].filter(([id]) => id !== 'new');
    return planRollout({
      wanted: { web: this.wanted },
      target: counts(fresh),
      others: new Map(others.map(([id, formation]) => [id, counts(formation)])),
      strategy: this.#strategy,
      batchSize: this.batchSize,
      isRollback: this.#isRollback,
    });
  }

  apply(plan: RolloutPlan): void {
    for (const [id, formation] of this.releases) {
      const quantities = id === 'new' ? plan.target : plan.others.get(id);
      formation.quantity = quantities?.web ?? 0;
    }
  }

  /** The scheduler acts on some formations and has not seen the others yet; the worst choice each time. */
  schedule(): void {
    for (const formation of this.releases.values()) {
      if (this.#random() < 0.3) continue;
      const order = this.#isRollback ? -1 : 1;
      formation.jobs.sort((a, b) => order * (Number(a) - Number(b)));
      formation.jobs.length = Math.min(formation.jobs.length, formation.quantity);
      while (formation.jobs.length < formation.quantity) formation.jobs.push(false);
    }
  }

  /** What is left behind because it is broken stays so. */
  recover(): void {
    for (const [id, formation] of this.releases)
      if (id === 'new' || !this.#isRollback)
        formation.jobs = formation.jobs.map((isHealthy) => isHealthy || this.#random() < 0.5);
  }
}

for (const isRollback of [false, true]) {
  const way = isRollback ? 'back' : 'forward';
  test(`on the way ${way} no step costs health that is wanted, and the way ends`, () => {
    for (let seed = 1; seed <= 1_000; seed++) walk(seed, isRollback);
  });
}

function walk(seed: number, isRollback: boolean): void {
  const model = new Model(seededRandom(seed), isRollback);
  const most = model.total + model.wanted;
  let steps = 0;
  for (let isDone = false; !isDone; steps++) {
    assert.ok(steps < 500, `seed ${seed}: the rollout does not end`);
    const plan = model.plan();
    isDone = plan.isDone;
    const before = Math.min(model.wanted, model.healthy);
    model.apply(plan);
    assert.ok(model.total <= most, `seed ${seed}: ${model.total} are asked for`);
    model.schedule();
    assert.ok(model.healthy >= before, `seed ${seed}: ${before} healthy became ${model.healthy}`);
    model.recover();
  }
  assert.equal(model.releases.get('new')?.quantity, model.wanted, `seed ${seed}`);
}

test('one by one, there is never more than one instance too many', () => {
  for (let wanted = 1; wanted <= 5; wanted++) {
    let fresh = 0;
    let left = wanted;
    for (let steps = 0; left > 0 || fresh < wanted; steps++) {
      assert.ok(steps < 50);
      const others = new Map([['old', { web: all(left) }]]);
      const plan = planRollout(
        aView({ wanted: { web: wanted }, target: { web: all(fresh) }, others }),
      );
      fresh = plan.target.web ?? 0;
      left = old(plan) ?? 0;
      assert.ok(fresh + left <= wanted + 1);
      assert.ok(fresh + left >= wanted);
    }
  }
});
