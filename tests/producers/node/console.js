// Values as console prints them: objects, arrays, maps and errors of several lines, lines between them, a group.
const { inspect } = require('node:util');

const inner = Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:5432'), { code: 'ECONNREFUSED', errno: -111 });
const bare = (error) => {
  delete error.stack;
  return error;
};

console.log('listening on :3000');
console.log({ id: 4711, name: 'a parcel with a long name', items: [{ sku: 'A-1', count: 2 }], to: { city: 'Bremen' } });
console.log('order', { id: 4711, customer: { name: 'Ada Lovelace', address: { city: 'Bremen', lines: ['a', 'b'] } }, paid: false });
console.log('GET /health 200');
console.log(Array.from({ length: 120 }, (_, index) => index * 7));
console.log(['a rather long first entry of a list', 'a rather long second entry', new Date(0)]);
console.log(new Map([['first key of a map', { a: 1, b: [1, 2] }], ['second key of a map', { a: 2, b: [3, 4] }]]));
console.log(new Set(['a rather long first entry of a set', 'a rather long second entry of a set']));
console.log({ a: 'x'.repeat(40), b: 'y'.repeat(40) }, ['z'.repeat(40), 'w'.repeat(40)]);
console.log('GET /health 200');
console.error(Object.assign(new Error('no such cart'), { code: 'E_CART', status: 404 }));
console.error('checkout failed:', new Error('payment failed', { cause: inner }));
console.error(new AggregateError([new Error('first'), inner], 'all attempts failed'));
console.error(bare(Object.assign(new TypeError('boom', { cause: inner }), { code: 'X' })));
console.log({ error: inner, attempts: 3 });
console.log(inspect({ token: 'a'.repeat(40), list: ['b'.repeat(40)] }, { colors: true }));
console.group('batch 7');
console.log({ done: 'a'.repeat(40), failed: 'b'.repeat(40) });
console.log('one line');
console.groupEnd();
console.log(JSON.stringify({ level: 'info', msg: 'as JSON' }, null, 2));
console.log(JSON.stringify([{ a: 1 }, { b: [] }], null, 4));
console.log('const pay = () => {');
console.log('a line of somebody else');
console.log('{');
console.log('done');
