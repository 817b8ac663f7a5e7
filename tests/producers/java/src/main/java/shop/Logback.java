package shop;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Records of logback with its usual pattern, and an uncaught exception. */
public final class Logback {
    public static void main(String[] arguments) {
        Logger log = LoggerFactory.getLogger("shop.Web");
        log.info("listening on {}", 8080);
        log.debug("starting");
        try {
            Orders.find(7);
        } catch (IllegalStateException error) {
            log.error("request failed", error);
        }
        log.warn("slow query took {} ms", 1204.5);
        System.setErr(System.out);
        Orders.find(8);
    }
}
