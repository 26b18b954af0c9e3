//! HTTP(S) requests with limits: the only network code.
//!
//! Whatever a server does, a request ends within its time, and no more is read than was asked for. TLS is OpenSSL's, with
//! the roots of the system (`SSL_CERT_FILE` and `SSL_CERT_DIR` as everywhere); proxies are taken from the usual
//! environment variables (`http_proxy`, `https_proxy`, `no_proxy` ...) by the HTTP library.

use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

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
    /// The body.
    pub(crate) body: Vec<u8>,
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
        Self::with_roots(user_agent, limits, RootCerts::PlatformVerifier)
    }

    /// A client that trusts the certificates in a PEM text alone.
    ///
    /// # Errors
    /// When there is none in it.
    pub(crate) fn trusting(user_agent: &str, limits: Limits, pem: &[u8]) -> anyhow::Result<Self> {
        let certificates = openssl::x509::X509::stack_from_pem(pem)?;
        anyhow::ensure!(!certificates.is_empty(), "there is no certificate in it");
        let certificates =
            certificates.iter().map(|certificate| Ok(Certificate::from_der(&certificate.to_der()?).to_owned()));
        let certificates: Vec<_> = certificates.collect::<anyhow::Result<_>>()?;
        Ok(Self::with_roots(user_agent, limits, RootCerts::new_with_certs(&certificates)))
    }

    fn with_roots(user_agent: &str, limits: Limits, roots: RootCerts) -> Self {
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
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

    /// Gets what is at `url`.
    ///
    /// # Errors
    /// [`Error::Request`] also for a URL that is neither `http:` nor `https:`; [`Error::TooLarge`].
    pub(crate) fn get(&self, url: &str) -> Result<Answer, Error> {
        self.read(url, self.agent.get(url).call())
    }

    /// Posts JSON to `url`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn post_json(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Error> {
        self.post(url, "application/json", headers, body)
    }

    /// Posts bytes of the media type `kind` to `url`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn post(&self, url: &str, kind: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Error> {
        let mut request = self.agent.post(url).header("Content-Type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.read(url, request.send(body))
    }

    fn read(&self, url: &str, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<Answer, Error> {
        let failed = |source| Error::Request { url: url.to_owned(), source: Box::new(source) };
        let mut answer = answer.map_err(failed)?;
        let status = answer.status().as_u16();
        match answer.body_mut().with_config().limit(self.limits.size).read_to_vec() {
            Ok(body) => Ok(Answer { status, body }),
            Err(ureq::Error::BodyExceedsLimit(limit)) => Err(Error::TooLarge { url: url.to_owned(), limit }),
            Err(error) => Err(failed(error)),
        }
    }
}
