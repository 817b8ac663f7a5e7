package shop;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.logging.log4j.ThreadContext;

/** Records of log4j2, each as text and as JSON in Elastic's schema. */
public final class Log4j {
    public static void main(String[] arguments) {
        Logger log = LogManager.getLogger("shop.Web");
        ThreadContext.put("requestId", "r-1");
        log.info("listening on {}", 8080);
        try {
            Orders.find(7);
        } catch (IllegalStateException error) {
            log.fatal("request failed", error);
        }
        log.warn("slow query");
    }
}
