"""A small warehouse: answers HTTP, sends logs, metrics and traces by OTLP/HTTP.

    GET /stock/ID    200; one log record, one count
    GET /reserve/ID  raises; the exception is recorded on the span and logged; 500

Exporters, their address and intervals come from the standard OTEL_* variables. Prints `listening on PORT`
once it serves.
"""

import logging
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

tracer_provider = TracerProvider()
tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(tracer_provider)
meter_provider = MeterProvider(metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])
metrics.set_meter_provider(meter_provider)
logger_provider = LoggerProvider()
logger_provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
set_logger_provider(logger_provider)

logger = logging.getLogger("warehouse")
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=logger_provider))
tracer = trace.get_tracer("warehouse")
meter = metrics.get_meter("warehouse")
lookups = meter.create_counter("warehouse.lookups", description="Looks at the stock")
failures = meter.create_counter("warehouse.reserve.failures", description="Reservations that failed")


class OutOfStock(Exception):
    pass


def reserve(item):
    raise OutOfStock(f"no item {item} left")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        route, _, item = self.path.lstrip("/").partition("/")
        with tracer.start_as_current_span(
            f"GET /{route}/:id", kind=SpanKind.SERVER, record_exception=False
        ) as span:
            span.set_attribute("http.route", f"/{route}/:id")
            self.reply(*self.answer(span, route, item))

    def answer(self, span, route, item):
        if route == "stock":
            lookups.add(1, {"kind": "look"})
            logger.info("item %s looked up", item)
            return 200, item
        try:
            reserve(item)
        except OutOfStock as error:
            failures.add(1)
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            logger.exception("reservation failed")
            return 500, str(error)

    def reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def stop(*_arguments):
    for provider in (tracer_provider, meter_provider, logger_provider):
        provider.shutdown()
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
server = HTTPServer(("127.0.0.1", 0), Handler)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
