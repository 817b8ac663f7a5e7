"""Records of Python's logging with two usual formats, of structlog as JSON, and an uncaught exception."""
import logging
import sys

import structlog

logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)
log = logging.getLogger("shop")
log.debug("starting")
log.warning("slow query took %.1f ms", 1204.5)


class NoSuchCart(Exception):
    pass


def find(cart):
    try:
        return {}[cart]
    except KeyError as error:
        raise NoSuchCart(f"cart {cart}") from error


try:
    find(7)
except NoSuchCart:
    log.exception("request failed")

logging.getLogger().handlers[0].setFormatter(
    logging.Formatter("%(asctime)s %(levelname)s [%(name)s] %(message)s")
)
log.info("with a time")
try:
    find(8)
except NoSuchCart:
    log.exception("request failed")
log.critical("giving up")

structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.JSONRenderer(),
    ]
)
structlog.get_logger().error("payment refused", order=7, card={"brand": "visa"})
sys.stdout.flush()
sys.stderr = sys.stdout
find(9)
