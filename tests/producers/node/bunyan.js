// Records of bunyan.
const log = require('bunyan').createLogger({ name: 'shop' });
log.info('listening');
log.warn({ ms: 12 }, 'slow query');
log.error(new Error('no such cart'), 'request failed');
