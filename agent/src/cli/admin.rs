//! Requests to the admin listener of a running agent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use reqwest::Response;
use tokio::time::timeout;

use crate::config::{ADMIN_ADDRESS_DEFAULT, AgentConfig};
use crate::printable::printable_lines;

/// Time to connect, for the answer to begin, and for each piece of it.
#[cfg(not(test))]
const TIMEOUT: Duration = Duration::from_secs(10);
#[cfg(test)]
const TIMEOUT: Duration = Duration::from_millis(200);

/// Which agent is asked.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// Admin address of the agent. Default: that of the configuration, else 127.0.0.1:7421
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Configuration file of the agent, for its admin address
    #[arg(long, value_name = "FILE", env = "VERVET_AGENT_CONFIG")]
    config: Option<PathBuf>,
}

impl AdminArgs {
    /// Where the agent listens.
    fn address(&self) -> anyhow::Result<String> {
        match (&self.admin, &self.config) {
            (Some(address), _) => Ok(address.clone()),
            (None, Some(file)) => configured(file),
            (None, None) => Ok(ADMIN_ADDRESS_DEFAULT.to_owned()),
        }
    }

    /// Asks for `path`; an answer that is no success is an error with its text.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Response> {
        self.ask(path, &[], Some(TIMEOUT)).await
    }

    /// As [`Self::get`], for an answer that may pause and has no end.
    pub(super) async fn stream(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Response> {
        self.ask(path, parameters, None).await
    }

    async fn ask(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        read_timeout: Option<Duration>,
    ) -> anyhow::Result<Response> {
        let admin = self.address()?;
        let url = format!("http://{admin}{path}");
        let url = reqwest::Url::parse_with_params(&url, parameters)
            .with_context(|| format!("`{admin}` is no address such as 127.0.0.1:7421"))?;
        let client = crate::http::client(|builder| {
            let builder = builder.no_proxy().connect_timeout(TIMEOUT);
            match read_timeout {
                Some(timeout) => builder.read_timeout(timeout),
                None => builder,
            }
        })?;
        let Ok(answer) = timeout(TIMEOUT, client.get(url).send()).await else {
            anyhow::bail!(silent(&admin));
        };
        let answer = answer.map_err(|error| match error.is_timeout() && !error.is_connect() {
            true => anyhow::anyhow!(silent(&admin)),
            false => anyhow::anyhow!(self.nobody(&admin, &error)),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = body(answer, 64 << 10).await.unwrap_or_default();
        let text = printable_lines(String::from_utf8_lossy(&text).trim());
        match status.is_client_error() && !text.is_empty() {
            // The agent says what is wrong with the question.
            true => anyhow::bail!("{text}"),
            false => anyhow::bail!("{admin} answers {status}: {text}"),
        }
    }

    /// One line: what is wrong, and what to do.
    fn nobody(&self, admin: &str, error: &reqwest::Error) -> String {
        let why = reason(error);
        let config = match &self.config {
            Some(file) => format!("--config {}", file.display()),
            None => "--config FILE".to_owned(),
        };
        let other = match (&self.admin, &self.config) {
            (None, Some(_)) => "--admin ADDR",
            _ => "--admin ADDR or --config FILE",
        };
        format!(
            "no agent answers at {admin} ({why}): start it with `vervet-agent run {config}`, or say where it listens with {other}"
        )
    }
}

/// One line about an agent that is there and does not answer.
fn silent(admin: &str) -> String {
    format!(
        "something listens at {admin} and has not answered within {TIMEOUT:?}: an agent that is stopped or stuck, has used up its \
         descriptors (`ulimit -n`, or LimitNOFILE= of its unit), or waits for a disk; look at its log, or it is no agent"
    )
}

/// The innermost cause: those around it say that something was sent.
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The address in a configuration, from which one can connect. The rest of the file may be wrong: the agent then works
/// with the one before.
fn configured(file: &Path) -> anyhow::Result<String> {
    let name = file.display();
    let address = AgentConfig::admin_address(file).with_context(|| {
        format!("{name} cannot be read; say where the agent listens with --admin ADDR")
    })?;
    let address = address.with_context(|| {
        let why = match AgentConfig::load(file) {
            Err(error) => format!("{error}\n{name} cannot be used"),
            Ok(_) => format!("{name} tells no admin address"),
        };
        format!("{why}; say where the agent listens with --admin ADDR")
    })?;
    anyhow::ensure!(
        address.port() != 0,
        "{name} lets the system choose the admin port; it stands in the agent's log: --admin ADDR"
    );
    Ok(reachable(address).to_string())
}

/// An agent that listens on every address is asked on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// The whole body of an answer.
pub(super) async fn body(mut answer: Response, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        anyhow::ensure!(
            body.len() + chunk.len() <= bytes_max,
            "the answer is too large"
        );
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, String> {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("agent.yaml");
        std::fs::write(&file, text).expect("written");
        let args = AdminArgs {
            admin: None,
            config: Some(file),
        };
        args.address().map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn who_listens_and_does_not_answer_is_given_up_with_a_reason() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let args = AdminArgs {
            admin: Some(address.clone()),
            config: None,
        };
        let answers = [
            args.get("/api/vervet/v1/status").await,
            args.stream("/api/vervet/v1/tap", &[]).await,
        ];
        for answer in answers {
            let error = answer.expect_err("nobody accepts").to_string();
            assert!(
                error.contains(&address) && error.contains("not answered within"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_address_is_that_of_the_configuration_even_of_a_wrong_one() {
        for (text, expected) in [
            ("admin: {listen: 127.0.0.1:9421}\n", "127.0.0.1:9421"),
            (
                "admin: {listen: 'localhost:9421'}\nreceivrs: 3\n",
                "127.0.0.1:9421",
            ),
            (
                "admin: {listen: '0.0.0.0:9421', auth: disabled}\n",
                "127.0.0.1:9421",
            ),
            (
                "admin: {listen: '[::]:9421', auth: disabled}\n",
                "[::1]:9421",
            ),
            ("data_dir: /x\n", "127.0.0.1:7421"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(expected), "{text}");
        }
        let any = of("admin: {listen: '127.0.0.1:0'}\n").expect_err("not known");
        assert!(any.contains("--admin ADDR"), "{any}");
        let broken = of("admin: {lisen: [\n").expect_err("not known");
        assert!(broken.contains("--admin ADDR"), "{broken}");
        assert!(
            broken.contains("agent.yaml:") && broken.contains("cannot be used"),
            "the mistake and its line: {broken}"
        );
    }
}
