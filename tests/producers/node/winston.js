// Records of winston: as JSON with a timestamp, then as its simple text.
const { createLogger, format, transports } = require('winston');
const json = createLogger({
  level: 'silly',
  format: format.combine(format.timestamp(), format.errors({ stack: true }), format.json()),
  transports: [new transports.Console()],
});
json.info('listening', { port: 3000 });
json.warn('slow query', { ms: 1204.5, query: { table: 'orders' } });
json.error('request failed', { path: '/cart', status: 500 });
json.error(new Error('no such cart'));
json.silly('noise');
const simple = createLogger({ format: format.simple(), transports: [new transports.Console()] });
simple.warn('disk is nearly full');
