//! HTTP(S) requests with limits: the only network code.
//!
//! Whatever a server does, a request ends within its time, and no more is read than was asked for. TLS is OpenSSL's, with
//! the roots of the system (`SSL_CERT_FILE` and `SSL_CERT_DIR` as everywhere); proxies are taken from the usual
//! environment variables (`http_proxy`, `https_proxy`, `no_proxy` ...) by the HTTP library.

use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use uvtypes::text::shown;

/// How far a request may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the whole request, redirects included.
    pub(crate) time: Duration,
    /// Bytes of the answer.
    pub(crate) size: u64,
    /// Redirects that a GET follows; a POST follows none.
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
    /// The server sends elsewhere, but not to where one could go.
    #[error("the answer redirects to {to}, which is {why}")]
    Redirect {
        /// Where to, fit for a terminal.
        to: String,
        /// What is wrong with that.
        why: &'static str,
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

impl Error {
    /// Whether the server's certificate is not trusted, or is another host's: trying again changes nothing.
    pub(crate) fn is_about_certificate(&self) -> bool {
        // OpenSSL's own words: the libraries between hand its errors on as text.
        matches!(self, Self::Request { source, .. } if source.to_string().contains("certificate verify failed"))
    }
}

/// An answer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status. Any is an answer.
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
        let encoding = shown(self.encoding.as_deref()?);
        Some(format!("the answer is compressed ('Content-Encoding: {encoding}'), which was not requested"))
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
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(user_agent)
            .build();
        Self { agent: config.new_agent(), limits }
    }

    /// Gets what is at `url`, within less time and fewer bytes than the client's limits. Follows redirects itself: the
    /// HTTP library takes `file:///x` for a path of the same server.
    ///
    /// # Errors
    /// [`Error::Request`] also for a URL that is neither `http:` nor `https:`; [`Error::TooLarge`]; [`Error::Redirect`].
    pub(crate) fn get_within(&self, url: &str, time: Duration, size: u64) -> Result<Answer, Error> {
        let end = Instant::now() + time;
        let mut at = url.to_owned();
        for _ in 0..=self.limits.redirects {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let request = self.agent.get(&at).config().timeout_global(Some(left)).build();
            let answer = self.read(&at, size, request.call())?;
            let (301 | 302 | 303 | 307 | 308, Some(location)) = (answer.status, &answer.location) else {
                return Ok(answer);
            };
            let to = follow(&at, location);
            at = to.ok_or_else(|| Error::Redirect { to: shown(location), why: "neither http: nor https:" })?;
        }
        Err(Error::Redirect { to: shown(&at), why: "one redirect too many" })
    }

    /// Posts JSON to `url`.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub(crate) fn post_json(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Error> {
        self.post(url, "application/json", headers, body)
    }

    /// Posts bytes of the media type `kind` to `url`. Goes to no proxy unless the connection is encrypted.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::TooLarge`].
    pub(crate) fn post(&self, url: &str, kind: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, Error> {
        let mut request = self.agent.post(url).header("Content-Type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !url.starts_with("https://") {
            // What is sent in the clear is for this machine itself, and no proxy on the way is to see it.
            request = request.config().proxy(None).build();
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

/// The address that `location` means in an answer from `at`: another `http:` or `https:` address, or a path on the same
/// server. `None` for any other.
fn follow(at: &str, location: &str) -> Option<String> {
    let is_http = |address: &str| {
        let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        scheme.is_some_and(|scheme| scheme == "http" || scheme == "https")
    };
    if is_http(location) {
        return Some(location.to_owned());
    }
    let (scheme, rest) = at.split_once("://")?;
    let server = rest.split(['/', '?', '#']).next()?;
    if location.starts_with("//") {
        return Some(format!("{scheme}:{location}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{server}{location}"));
    }
    // A colon before any slash ends the name of a scheme.
    let has_scheme = location.split('/').next().is_some_and(|first| first.contains(':'));
    if has_scheme {
        return None;
    }
    let path = rest.get(server.len()..)?.split(['?', '#']).next()?;
    let folder = path.rfind('/').and_then(|end| path.get(..=end)).unwrap_or("/");
    Some(format!("{scheme}://{server}{folder}{location}"))
}

#[cfg(test)]
mod tests {
    use super::follow;

    #[test]
    fn redirects_lead_to_servers_alone() {
        let at = "http://a.example:8/crl/one.crl?x=/y";
        for (location, to) in [
            ("https://b.example/", Some("https://b.example/")),
            ("HTTP://b.example/", Some("HTTP://b.example/")),
            ("//b.example/z", Some("http://b.example/z")),
            ("/two.crl", Some("http://a.example:8/two.crl")),
            ("two.crl", Some("http://a.example:8/crl/two.crl")),
            ("two:three/four", None),
            ("file:///etc/passwd", None),
            ("ldap://b.example/", None),
            ("file:/etc/passwd", None),
        ] {
            assert_eq!(follow(at, location).as_deref(), to, "{location}");
        }
        assert_eq!(follow("http://a.example", "two.crl").as_deref(), Some("http://a.example/two.crl"));
    }
}
