//! HTTP(S) requests with limits: the only network code.
//!
//! Whatever a server does, a request ends within its time, and no more is read than was asked for. TLS is OpenSSL's, with
//! the roots of the system (`SSL_CERT_FILE` and `SSL_CERT_DIR` as everywhere); proxies are taken from the usual
//! environment variables (`http_proxy`, `https_proxy`, `no_proxy` ...) by the HTTP library.

use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use uvtypes::text::shown;

/// How far a request may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the whole request, redirects included.
    pub(crate) time: Duration,
    /// Bytes of the answer.
    pub(crate) size: u64,
    /// Redirects that are followed.
    pub(crate) redirects: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The request failed.
    #[error("no answer from {url}")]
    Request {
        /// Where it went.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The answer is too large.
    #[error("the answer from {url} is larger than {limit} bytes")]
    TooLarge {
        /// Where it came from.
        url: String,
        /// The limit.
        limit: u64,
    },
}

/// An answer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status. Any is an answer; a redirect beyond the limit is one too.
    pub(crate) status: u16,
    /// Where a redirect leads.
    pub(crate) location: Option<String>,
    /// How the body is packed, if it is.
    pub(crate) encoding: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Why the body may not be what was asked for, fit for a terminal.
    pub(crate) fn oddity(&self) -> Option<String> {
        if let (300..400, Some(location)) = (self.status, &self.location) {
            let location = shown(location);
            let follows = ["http://", "https://", "/"].iter().any(|start| location.starts_with(start));
            return Some(match follows {
                true => format!("the answer redirects to {location}, once too often"),
                false => format!("the answer redirects to {location}, which is neither http: nor https:"),
            });
        }
        let encoding = shown(self.encoding.as_deref()?);
        Some(format!("the answer is packed ('Content-Encoding: {encoding}'), which nobody asked for"))
    }
}

/// Refuses a proxy in the environment that cannot be used: the HTTP library would go without it.
///
/// # Errors
/// With the name of the variable. Its value may hold a password.
pub(crate) fn refuse_broken_proxy() -> anyhow::Result<()> {
    for name in ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        // The first that is set counts; an empty one is a way to set none.
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else { continue };
        if value.to_str().is_some_and(|value| ureq::Proxy::new(value).is_ok()) {
            continue;
        }
        anyhow::bail!("Cannot use the proxy that the environment names in '{name}': expected http://HOST:PORT");
    }
    Ok(())
}

/// Makes requests.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    limits: Limits,
}

impl Client {
    /// A client with these limits, which names itself `user_agent`.
    pub(crate) fn new(user_agent: &str, limits: Limits) -> Self {
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(limits.time))
            .max_redirects(limits.redirects)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(user_agent)
            .build();
        Self { agent: config.new_agent(), limits }
    }

    /// Gets what is at `url`, within less time and fewer bytes than the client's limits.
    ///
    /// # Errors
    /// [`Error::Request`] also for a URL that is neither `http:` nor `https:`; [`Error::TooLarge`].
    pub(crate) fn get_within(&self, url: &str, time: Duration, size: u64) -> Result<Answer, Error> {
        let request = self.agent.get(url).config().timeout_global(Some(time)).build();
        self.read(url, size, request.call())
    }

    /// Posts JSON to `url`.
    ///
    /// # Errors
    /// As [`Client::get_within`].
    pub(crate) fn post_json(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Error> {
        let mut request = self.agent.post(url).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.read(url, self.limits.size, request.send(body))
    }

    fn read(&self, url: &str, size: u64, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<Answer, Error> {
        let failed = |source| Error::Request { url: shown(url), source: Box::new(source) };
        let mut answer = answer.map_err(failed)?;
        let status = answer.status().as_u16();
        let header = |name| Some(String::from_utf8_lossy(answer.headers().get(name)?.as_bytes()).into_owned());
        let (location, encoding) = (header("location"), header("content-encoding"));
        match answer.body_mut().with_config().limit(size).read_to_vec() {
            Ok(body) => Ok(Answer { status, location, encoding, body }),
            Err(ureq::Error::BodyExceedsLimit(limit)) => Err(Error::TooLarge { url: shown(url), limit }),
            Err(error) => Err(failed(error)),
        }
    }
}
