// Records of pino, and an uncaught error in the end.
const log = require('pino')({ level: 'trace' });
const request = log.child({ requestId: 'r-1', trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331' });
log.info('listening on :3000');
request.debug({ user: { id: 7, roles: ['admin', 'ops'] } }, 'signed in');
request.warn({ ms: 1204.5 }, 'slow query "orders"');
log.error(new TypeError('x is not a function'), 'request failed');
log.fatal({ code: -1 }, 'giving up');
throw new RangeError('uncaught below the records');
