// A small shop: Express answers, pino logs to LOG_FILE, two counters count.
//
//   GET /orders/:id    200; one log line, one count
//   GET /checkout/:id  throws; the error handler logs the error and answers 500
//
// Prints `listening on PORT` once it serves.
'use strict'

const express = require('express')
const pino = require('pino')
const { metrics } = require('@opentelemetry/api')
const { logs, SeverityNumber } = require('@opentelemetry/api-logs')

const logger = pino({ name: 'shop' }, pino.destination({ dest: process.env.LOG_FILE, sync: true }))
const meter = metrics.getMeter('shop')
const orders = meter.createCounter('shop.orders', { description: 'Orders looked at' })
const failures = meter.createCounter('shop.checkout.failures', { description: 'Checkouts that failed' })

class PaymentError extends Error {
  constructor(message) {
    super(message)
    this.name = 'PaymentError'
  }
}

function charge(id) {
  throw new PaymentError(`card refused for order ${id}`)
}

const app = express()
app.get('/orders/:id', (request, response) => {
  orders.add(1, { kind: 'view' })
  logger.info({ order: request.params.id }, `order ${request.params.id} viewed`)
  response.json({ id: request.params.id })
})
app.get('/checkout/:id', (request, response) => {
  charge(request.params.id)
  response.json({})
})
app.use((error, request, response, _next) => {
  failures.add(1)
  logger.error({ err: error }, 'checkout failed')
  response.status(500).json({ error: error.message })
})

const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  // One record by the logs API of OpenTelemetry, beside those of pino.
  logs.getLogger('shop').emit({ severityNumber: SeverityNumber.INFO, severityText: 'INFO', body: 'shop opened' })
  process.stdout.write(`listening on ${server.address().port}\n`)
})
