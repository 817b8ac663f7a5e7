//! A server whose bodies change at a word, and the jobs that scrape it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use vervet_model::{Clock, SystemClock};

/// Paths that are scraped, each by one job.
const PATHS: [&str; 5] = ["/tricks", "/honest", "/relabelled", "/limited", "/labels"];
/// A phase is seen when both have been here so often.
const SCRAPES: usize = 2;

/// What the server answers for some time.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    status: StatusCode,
    content_type: &'static str,
    /// `{now}` stands for the time the phase began, in milliseconds.
    body: &'static str,
}

const TEXT: &str = "text/plain; version=0.0.4";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const fn answer(name: &'static str, content_type: &'static str, body: &'static str) -> Phase {
    Phase {
        name,
        status: StatusCode::OK,
        content_type,
        body,
    }
}

pub(crate) const PHASES: [Phase; 11] = [
    answer(
        "the text format",
        TEXT,
        "# HELP c A counter\\nof \\\\ things\n# TYPE c counter\nc{p=\"a\"} 1\nc{p=\"b\",} 2\n\
         # TYPE none gauge\n# HELP none\n\n# just a comment\n   \t\n#TYPE x y\n\
         esc{a=\"q\\\"uote\",b=\"back\\\\slash\",c=\"line\\nbreak\",d=\"other\\t\"} 3\n\
         blank{}\t4\nempty{p=\"\",q=\"1\"} 5\nspaced { a = \"1\" , b = \"2\" } 6\n\
         inf +Inf\nminf -Inf\nnan NaN\nexp 1.5e3\nneg -0.25\nbig 18446744073709551615\n\
         # TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 1.5\nh_count 3\n\
         # TYPE s summary\ns{quantile=\"0.5\"} 0.1\ns{quantile=\"0.99\"} 0.2\ns_sum 3\ns_count 4\n\
         twin 1\ntwin 2\ntimed 7 {now}\nown{job=\"mine\",instance=\"here\",exported_job=\"older\"} 8\n\
         colon:name{_x=\"1\"} 9\n",
    ),
    answer(
        "series go and come",
        TEXT,
        "# TYPE c counter\nc{p=\"b\"} 5\nc{p=\"c\"} 1\nnew{a=\"é\"} 1\ntimed 8 {now}\n",
    ),
    answer("garbage", TEXT, "<html>down</html>\n"),
    answer(
        "back again",
        TEXT,
        "c{p=\"b\"} 6\nnew{a=\"é\"} 2\ntimed 9 {now}\n",
    ),
    answer(
        "OpenMetrics",
        OPEN_METRICS,
        "# TYPE foo_seconds counter\n# UNIT foo_seconds seconds\n# HELP foo_seconds Some \\\"help\\\"\n\
         foo_seconds_total{a=\"b\"} 17 # {trace_id=\"abc\"} 0.5 1520879607.789\nfoo_seconds_created{a=\"b\"} 1520872607.5\n\
         # TYPE h histogram\nh_bucket{le=\"1.0\"} 2 # {} 0.7\nh_bucket{le=\"+Inf\"} 3\nh_count 3\nh_sum 2.5\n\
         # TYPE i info\ni_info{version=\"1\"} 1\n# TYPE st stateset\nst{st=\"on\"} 1\nst{st=\"off\"} 0\n# EOF\n",
    ),
    Phase {
        name: "an answer that is none",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        content_type: TEXT,
        body: "c{p=\"b\"} 6\n",
    },
    answer("carriage returns", TEXT, "c{p=\"b\"} 6\r\nnew 1\r\n"),
    answer("no end", OPEN_METRICS, "unseen 1\n"),
    answer("a label twice", TEXT, "twice{a=\"1\",a=\"2\"} 1\n"),
    answer("nothing", TEXT, ""),
    answer("the end", TEXT, "c{p=\"b\"} 7\nlast{le=\"x\"} 1\n"),
];

/// The server, and how far both are.
pub(crate) struct Targets {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    phase: usize,
    began_ms: i64,
    /// Scrapes of this phase by path and program.
    scrapes: BTreeMap<(String, String), usize>,
}

impl Targets {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let router = Router::new().fallback(move |request: Request| {
            let answer = shared
                .lock()
                .answer(request.uri().path(), request.headers());
            async { answer }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(crate) fn show(&self, phase: usize) {
        *self.state.lock() = State {
            phase,
            began_ms: SystemClock.now().to_millis().0,
            scrapes: BTreeMap::new(),
        };
    }

    /// Whether both have scraped all there is of this phase.
    pub(crate) fn is_seen(&self) -> bool {
        let state = self.state.lock();
        let by = |path: &str, program: &str| {
            let key = (path.to_owned(), program.to_owned());
            state
                .scrapes
                .get(&key)
                .is_some_and(|scrapes| *scrapes >= SCRAPES)
        };
        PATHS
            .iter()
            .all(|path| by(path, "Prometheus") && by(path, "vervet-agent"))
    }
}

impl State {
    fn answer(&mut self, path: &str, headers: &HeaderMap) -> Response {
        let program = headers[USER_AGENT].to_str().unwrap();
        let program = program.split('/').next().unwrap().to_owned();
        *self.scrapes.entry((path.to_owned(), program)).or_default() += 1;
        let phase = &PHASES[self.phase];
        let body = match path {
            // Beyond the limit in every other phase, and never with a series that was below it.
            "/limited" if self.phase % 2 == 1 => {
                "over_a 1\nover_b 2\nover_c 3\nover_d 4\n".to_owned()
            }
            "/limited" => "below_a 1\nbelow_b 2\n".to_owned(),
            "/labels" if self.phase % 2 == 1 => "many{a=\"1\",b=\"2\",c=\"3\"} 1\n".to_owned(),
            "/labels" => "few{a=\"1\"} 1\n".to_owned(),
            _ => phase.body.replace("{now}", &self.began_ms.to_string()),
        };
        let (status, content_type) = match path {
            "/limited" | "/labels" => (StatusCode::OK, TEXT),
            _ => (phase.status, phase.content_type),
        };
        (status, [(CONTENT_TYPE, content_type)], body).into_response()
    }
}

/// A job, scraped once a second.
pub(crate) fn timed(job: &str) -> String {
    job.replacen('{', "{scrape_interval: 1s, scrape_timeout: 1s, ", 1)
}

/// The jobs that scrape the server, as Prometheus's configuration has them.
pub(crate) fn jobs(address: SocketAddr, listed: &Path) -> String {
    let job = |name: &str, more: &str| {
        let labels = "labels: {env: test, empty: \"\"}";
        let targets = format!("static_configs: [{{targets: [\"{address}\"], {labels}}}]");
        timed(&format!(
            "- {{job_name: {name}, metrics_path: /{name}, {targets}{more}}}\n"
        ))
    };
    let relabelled = ", relabel_configs: [\
         {source_labels: [__address__], regex: \"(.*):.*\", target_label: host}, \
         {action: labelmap, regex: e(n)v, replacement: \"${1}\"}, \
         {target_label: __param_asked, replacement: \"yes\"}, \
         {action: hashmod, source_labels: [instance, job], modulus: 7, target_label: shard}], \
         metric_relabel_configs: [\
         {action: drop, source_labels: [__name__, le], regex: \"h_bucket;0.5\"}, \
         {action: replace, source_labels: [__name__], regex: \"(c|h)(.*)\", target_label: __name__, replacement: \"my_$1$2\"}, \
         {action: labeldrop, regex: \"b|q\"}, \
         {action: uppercase, source_labels: [a], target_label: upper}]";
    let file = format!(
        "- {{job_name: leaving, metrics_path: /leaving, file_sd_configs: [{{files: [\"{}\"]}}]}}\n",
        listed.display()
    );
    [
        job("tricks", ""),
        job("honest", ", honor_labels: true, honor_timestamps: false"),
        job("relabelled", relabelled),
        job("limited", ", sample_limit: 3"),
        job("labels", ", label_limit: 5, label_value_length_limit: 50"),
        timed(&file),
    ]
    .concat()
}
