//! The key broker, as an administrator sees it.

use super::{now, read_text};
use crate::shared::system::System;
use anyhow::{Context, bail};
use clap::Args;
use setrustee::Token;
use std::path::PathBuf;
use uvtypes::text::shown_path;

/// Which server, and how to reach it.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerArgs {
    /// Send to the key broker at URL, such as https://kbs.example.com:8080
    #[arg(long, value_name = "URL", requires = "token_file")]
    url: Option<String>,
    /// File with the administrator's token, which 'pvtools trustee key' makes
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
    /// Trust the certificates in FILE instead of those of the system
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    /// Give up a request after SECONDS
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600), requires = "url")]
    timeout: u64,
}

/// What is sent.
#[cfg_attr(not(feature = "network"), expect(dead_code, reason = "never read without network code"))]
pub(super) enum Body {
    /// A message.
    Json(serde_json::Value),
    /// A resource.
    Bytes(Vec<u8>),
}

impl ServerArgs {
    /// Whether there is a server to send to.
    pub(super) fn is_given(&self) -> bool {
        self.url.is_some()
    }

    /// The server, with a token that has not expired. Nothing is sent yet.
    pub(super) fn connect(&self, system: &mut System) -> anyhow::Result<Server> {
        let url = self.url.as_deref().unwrap_or_default().trim_end_matches('/');
        let url = url.strip_suffix("/kbs/v0").unwrap_or(url).to_owned();
        if !is_safe(&url) {
            bail!("Cannot send a token to '{url}': expected 'https://', or 'http://' to this machine itself");
        }
        let path = self.token_file.as_deref().context("A token is needed: '--token-file'")?;
        let cannot = || format!("Cannot use the token in '{}'", shown_path(path));
        let token = Token::parse(&read_text(path, "token", system)?).with_context(cannot)?;
        token.check_time(now(system)?).with_context(cannot)?;
        self.open(url, token)
    }

    #[cfg(feature = "network")]
    fn open(&self, url: String, token: Token) -> anyhow::Result<Server> {
        use crate::shared::http::{Client, Limits};
        use crate::shared::input;
        // A token is not for the place that a server sends us to.
        let limits = Limits { time: std::time::Duration::from_secs(self.timeout), size: 1 << 20, redirects: 0 };
        let roots = self.ca_file.as_deref().map(|path| input::read(path, 1 << 20, "CA file")).transpose()?;
        let client = match &roots {
            None => Client::new("pvtools-trustee", limits),
            Some(pem) => Client::trusting("pvtools-trustee", limits, pem).with_context(|| {
                format!(
                    "Cannot use '{}' as CA file",
                    shown_path(self.ca_file.as_deref().unwrap_or(std::path::Path::new("")))
                )
            })?,
        };
        Ok(Server { url, token, client, sent: Vec::new() })
    }

    #[cfg(not(feature = "network"))]
    fn open(&self, _: String, _: Token) -> anyhow::Result<Server> {
        bail!("This program was built without network code, which '--url' needs")
    }
}

/// A token in the clear is for those on the way.
fn is_safe(url: &str) -> bool {
    let local = |rest: &str| {
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let host = if host.starts_with('[') { host.split(']').next() } else { host.split(':').next() };
        let host = host.unwrap_or_default();
        !rest.contains('@')
            && (host == "localhost"
                || host == "[::1"
                || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()))
    };
    url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty()) || url.strip_prefix("http://").is_some_and(local)
}

/// A server that takes an administrator's requests.
pub(super) struct Server {
    #[cfg_attr(not(feature = "network"), expect(dead_code, reason = "never made without network code"))]
    url: String,
    #[cfg_attr(not(feature = "network"), expect(dead_code, reason = "never made without network code"))]
    token: Token,
    /// What the server has taken.
    sent: Vec<String>,
    #[cfg(feature = "network")]
    client: crate::shared::http::Client,
}

impl Server {
    /// What is where, when something stops half-way.
    pub(super) fn told(&self) -> String {
        match self.sent.as_slice() {
            [] => "Nothing was sent".to_owned(),
            sent => format!("On the server are now: {}; send all again", sent.join(", ")),
        }
    }
}

#[cfg(not(feature = "network"))]
impl Server {
    pub(super) fn post(&mut self, _: &str, _: &Body, what: &str, _: &mut System) -> anyhow::Result<()> {
        bail!("{what} cannot be sent: this program was built without network code")
    }
}

#[cfg(feature = "network")]
impl Server {
    /// Posts to a path below `/kbs/v0`. Tries again when the server does not answer or fails; sending the same again
    /// changes nothing. `what` says in errors what it is; they also say what is on the server by then.
    pub(super) fn post(&mut self, path: &str, body: &Body, what: &str, system: &mut System) -> anyhow::Result<()> {
        match self.try_to_post(path, body, what, system) {
            Ok(()) => {
                self.sent.push(what.trim_matches('\'').to_owned());
                Ok(())
            }
            Err(error) => bail!("{error:#}. {}", self.told()),
        }
    }

    fn try_to_post(&self, path: &str, body: &Body, what: &str, system: &mut System) -> anyhow::Result<()> {
        const TRIES: u32 = 3;
        let url = format!("{}/kbs/v0/{path}", self.url);
        let authorization = format!("Bearer {}", self.token.expose());
        let (kind, bytes) = match body {
            Body::Json(value) => ("application/json", value.to_string().into_bytes()),
            Body::Bytes(bytes) => ("application/octet-stream", bytes.clone()),
        };
        let mut last = anyhow::anyhow!("it was not tried");
        for attempt in 1..=TRIES {
            if attempt > 1 {
                system.info(&format!("Trying again: {last:#}"));
                std::thread::sleep(std::time::Duration::from_millis(200) * (attempt - 1));
            }
            match self.client.post(&url, kind, &[("Authorization", &authorization)], &bytes) {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    system.info(&format!("Sent {what} to {url}"));
                    return Ok(());
                }
                Ok(answer) if answer.status < 500 => {
                    bail!("Cannot send {what} to {url}: {}", meaning(answer.status));
                }
                Ok(answer) => last = anyhow::anyhow!("{}", meaning(answer.status)),
                Err(error) if error.is_about_certificate() => {
                    let error = anyhow::Error::new(error);
                    bail!(
                        "Cannot send {what} to {url}: {error:#}; give the CA of the server's certificate with \
                         '--ca-file', and the name in it as address"
                    );
                }
                Err(error) => last = error.into(),
            }
        }
        Err(last.context(format!("Cannot send {what} to {url}, in {TRIES} attempts")))
    }
}

/// What a status of the key broker can mean.
#[cfg(feature = "network")]
fn meaning(status: u16) -> String {
    let meaning = match status {
        300..=399 => "the server sends us elsewhere, where the token does not go: give that address",
        401 => {
            "the server says 401 for everything that it refuses: the token may be signed by a key that it does not know, be \
             expired, have an issuer, audience or role that its configuration does not have, or no ACL allows this path"
        }
        403 => "the server knows the token, but it may not do this: look at the ACLs of its role",
        404 => "there is no key broker at this address, or it has no such plugin: give the address without '/kbs/v0'",
        413 => "it is larger than the server takes (2 MiB, unless configured otherwise)",
        500.. => "the server failed: the reason stands in its log alone",
        _ => "the server refused it: the reason stands in its log",
    };
    format!("it answers {status}: {meaning}")
}

/// What is said of a server's answer, for the fuzzer.
#[cfg(fuzzing)]
pub fn answer_to_upload(url: &str) -> String {
    use crate::shared::http::{Client, Limits};
    let limits = Limits { time: std::time::Duration::from_secs(5), size: 1 << 16, redirects: 0 };
    match Client::new("pvtools-fuzz", limits).post(url, "application/json", &[("Authorization", "Bearer x")], b"{}") {
        Ok(answer) => meaning(answer.status) + &answer.oddity().unwrap_or_default(),
        // As errors are printed.
        Err(error) => uvtypes::text::escaped(&format!("{:#}", anyhow::Error::new(error))).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn tokens_do_not_travel_in_the_clear() {
        for url in
            ["https://kbs", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080", "http://127.9.9.9/x"]
        {
            assert!(is_safe(url), "{url}");
        }
        for url in [
            "",
            "kbs",
            "ftp://x",
            "https://",
            "http://kbs:8080",
            "http://127.0.0.1.evil",
            "http://127.0.0.1@evil",
            "http://localhost.evil",
            "http://10.0.0.1",
        ] {
            assert!(!is_safe(url), "{url}");
        }
    }
}
