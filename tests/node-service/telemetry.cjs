// Loaded before the service (`node --require`): OpenTelemetry for Express, HTTP and pino.
//
// Exporters, their address and intervals come from the standard OTEL_* variables.
'use strict'

const { NodeSDK } = require('@opentelemetry/sdk-node')
const { ExpressInstrumentation } = require('@opentelemetry/instrumentation-express')
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http')
const { PinoInstrumentation } = require('@opentelemetry/instrumentation-pino')

const sdk = new NodeSDK({
  instrumentations: [
    new HttpInstrumentation(),
    new ExpressInstrumentation(),
    // Log records leave through the file that the agent follows, with trace and span id in each line.
    new PinoInstrumentation({ disableLogSending: true }),
  ],
})
sdk.start()

process.on('SIGTERM', () => {
  sdk.shutdown().finally(() => process.exit(0))
})
