//! Resources: what the Kata agent fetches for a Crypto Express queue.

use crate::{Error, Finding};
use apbus::{MasterKey, Mkvp};
use sehdr::BootTags;
use serde_yaml::Value;
use std::fmt;
use uvrequest::secret::AddSecretRequestView;
use uvtypes::HostKeyHash;
use uvtypes::SecretId;

/// Bytes of a resource that a server takes: 2 MiB, unless its configuration says otherwise.
pub const MAX_RESOURCE: usize = 2 << 20;
/// The repository that the agent asks for.
const REPOSITORY: &str = "vfio_ap";

/// The name of a resource: repository, type, tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourcePath([String; 3]);

impl ResourcePath {
    /// Three parts with slashes between them.
    ///
    /// # Errors
    /// [`Error::ResourceName`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let error = |reason: String| Error::ResourceName { name: text.to_owned(), reason };
        let parts: Vec<_> = text.split('/').map(str::to_owned).collect();
        let parts: [String; 3] = parts
            .try_into()
            .map_err(|parts: Vec<_>| error(format!("expected 3 parts with '/' between them, found {}", parts.len())))?;
        match parts.iter().find_map(|part| resource_name_fault(part)) {
            Some(fault) => Err(error(fault)),
            None => Ok(Self(parts)),
        }
    }

    /// Where the agent looks for something about queues with the master key `mkvp`.
    fn of_queue(mkvp: &Mkvp, tag: &str) -> Self {
        Self([REPOSITORY.to_owned(), mkvp.to_string(), tag.to_owned()])
    }

    /// Repository, type and tag.
    pub fn parts(&self) -> [&str; 3] {
        [&self.0[0], &self.0[1], &self.0[2]]
    }

    /// The file below a server's LocalFs folder `repository`: one name, in which `/` is written `\x2F`.
    pub fn local_fs_name(&self) -> String {
        self.0.join("\\x2F")
    }
}

impl fmt::Display for ResourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// Why a server would refuse this part of a name.
pub fn resource_name_fault(part: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if part.is_empty() {
        return Some("a part is empty".to_owned());
    }
    if part.starts_with('.') {
        return Some("a part begins with a dot".to_owned());
    }
    let other = part.chars().find(|c| !is_plain(*c))?;
    Some(format!("{other:?} is not a letter, a digit, '_', '-' or '.'"))
}

/// The pattern of a master key: 64 or 32 hex digits, or the text of a queue's `mkvps` with a valid wrapping key.
///
/// # Errors
/// [`Error::Mkvp`].
pub fn mkvp(text: &str) -> Result<Mkvp, Error> {
    let text = text.trim();
    if !text.contains("WK") {
        return text.parse().map_err(|error: apbus::InvalidMkvp| Error::Mkvp(error.to_string()));
    }
    match apbus::text::current_wrapping_key(text) {
        MasterKey::Valid(mkvp) => Ok(mkvp),
        MasterKey::None => Err(Error::Mkvp(
            "the current wrapping key is not valid (line 'WK CUR:'): set the master key of the domain first".to_owned(),
        )),
        MasterKey::Unknown => Err(Error::Mkvp(
            "there is no pattern in the line 'WK CUR:': the queue could not be asked, or the text is cut".to_owned(),
        )),
    }
}

/// The id of a secret as it is found in files: 64 hex digits of any case, `0x`, quotes and white space around them.
///
/// # Errors
/// [`Error::SecretId`].
pub fn parse_secret_id(text: &str) -> Result<SecretId, Error> {
    let digits = text.trim().trim_matches(['"', '\'']).trim();
    digits.parse().map_err(|error: uvtypes::InvalidHex| Error::SecretId(error.to_string()))
}

/// Name and id of an association secret: what `pvsecret create` writes beside the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretIdentity {
    /// The name, if it is known.
    pub name: Option<String>,
    /// Id of the secret in the ultravisor's store.
    pub id: SecretId,
}

impl SecretIdentity {
    /// The YAML file of `pvsecret create association`, or the id alone.
    ///
    /// # Errors
    /// [`Error::Identity`], [`Error::SecretId`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if !text.contains(':') {
            return Ok(Self { name: None, id: parse_secret_id(text)? });
        }
        let value: Value = serde_yaml::from_str(text).map_err(|error| Error::Identity(error.to_string()))?;
        let Value::Tagged(tagged) = value else {
            return Err(Error::Identity("there is no tag '!Association'".to_owned()));
        };
        let kind = tagged.tag.to_string();
        if kind != "!Association" {
            let kind = kind.trim_start_matches('!');
            return Err(Error::Identity(format!("it is about a secret of the kind {kind}, which binds no queue")));
        }
        let text = |key: &str| tagged.value.get(key).and_then(Value::as_str);
        let id = text("id").ok_or_else(|| Error::Identity("it has no 'id'".to_owned()))?;
        Ok(Self { name: text("name").map(str::to_owned), id: parse_secret_id(id)? })
    }
}

/// What a request is checked against. What is not given is not compared.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The images that guests run.
    pub images: Vec<BootTags>,
    /// The machines that they run on.
    pub host_keys: Vec<HostKeyHash>,
}

/// What binds the queues with one master key: an add-secret request and the id of its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPair {
    mkvp: Mkvp,
    request: Vec<u8>,
    id: SecretId,
}

impl SecretPair {
    /// The pair of a request.
    ///
    /// # Errors
    /// [`Error::AddSecretRequest`], [`Error::ResourceSize`], and [`Error::Identity`] when the request has another secret.
    pub fn new(mkvp: Mkvp, request: Vec<u8>, identity: &SecretIdentity) -> Result<Self, Error> {
        if request.len() > MAX_RESOURCE {
            return Err(Error::ResourceSize(request.len()));
        }
        let view = AddSecretRequestView::parse(&request).map_err(Error::AddSecretRequest)?;
        match view.secret_id() {
            Some(id) if id == identity.id => Ok(Self { mkvp, id, request }),
            Some(id) => Err(Error::Identity(format!("the request adds the secret {id}, this is {}", identity.id))),
            None => Err(Error::Identity("the request adds no association secret".to_owned())),
        }
    }

    /// Verification pattern of the master key that the pair is for.
    pub fn mkvp(&self) -> &Mkvp {
        &self.mkvp
    }

    /// Both resources in the order in which they have to appear: the agent does nothing before it has the second.
    pub fn resources(&self) -> [(ResourcePath, Vec<u8>); 2] {
        [
            (ResourcePath::of_queue(&self.mkvp, "secret"), self.request.clone()),
            (ResourcePath::of_queue(&self.mkvp, "secret_id"), hex::encode(self.id.as_bytes()).into_bytes()),
        ]
    }

    /// What would fail in the guest. `place` says in findings where the request is from.
    pub fn check(&self, place: &str, identity: &SecretIdentity, context: &RequestContext) -> Vec<Finding> {
        let mut findings = Vec::new();
        let Ok(view) = AddSecretRequestView::parse(&self.request) else { return findings };
        if let Some(name) = identity.name.as_deref() {
            if ![SecretId::of_name(name), SecretId::from_name_bytes(name)].contains(&self.id) {
                let problem = format!("the id {} is not that of the name '{}'", self.id, uvtypes::text::shown(name));
                findings.push(Finding::error(place, problem, "take the YAML file that was written with the request"));
            }
        }
        if !context.images.is_empty() && !context.images.contains(view.boot_tags()) {
            findings.push(Finding::error(
                place,
                format!(
                    "the request is for the image with tag {}, which is not among those given",
                    hex::encode(view.boot_tags().tag)
                ),
                "make it again for one of these images: the ultravisor would refuse it (0x0108)",
            ));
        }
        let slots = view.host_keys();
        let without: Vec<_> = context.host_keys.iter().filter(|host_key| !slots.contains(host_key)).collect();
        if !context.host_keys.is_empty() && without.len() == context.host_keys.len() {
            findings.push(Finding::error(
                place,
                "the request has a key slot for none of the host keys",
                "make it again for these machines: the ultravisor would refuse it (0x0108)",
            ));
        } else {
            findings.extend(without.into_iter().map(|host_key| {
                let problem = format!("the request has no key slot for the host key {host_key:x}");
                Finding::warning(place, problem, "it cannot be used on that machine")
            }));
        }
        if let Some(cuid) = view.cuid() {
            let problem = format!("the request is bound to one boot of a guest ({cuid})");
            findings.push(Finding::error(
                place,
                problem,
                "make it again for any boot: each guest of a pod has a CUID of its own",
            ));
        }
        findings
    }

    /// Checks what somebody else stored as a pair. The agent takes the id as it stands but for leading `0x` and white space
    /// behind it.
    pub fn check_stored(place: &str, secret: &[u8], secret_id: &[u8], context: &RequestContext) -> Vec<Finding> {
        let advice = "write the pair with 'pvtools trustee resources'";
        let view = match AddSecretRequestView::parse(secret) {
            Ok(view) => view,
            Err(error) => {
                let problem = format!("'secret' is no add-secret request: {error}");
                return vec![Finding::error(place, problem, advice)];
            }
        };
        let Ok(text) = std::str::from_utf8(secret_id) else {
            return vec![Finding::error(place, "'secret_id' is no text", advice)];
        };
        let id = match parse_secret_id(text) {
            Ok(id) => id,
            Err(error) => return vec![Finding::error(place, format!("'secret_id': {error}"), advice)],
        };
        let mut findings = Vec::new();
        let seen = text.trim_start_matches("0x").trim_end();
        if seen != hex::encode(id.as_bytes()) {
            let problem =
                "'secret_id' has quotes, capital letters or white space, with which the agent finds no secret";
            findings.push(Finding::error(place, problem, advice));
        }
        let identity = SecretIdentity { name: None, id };
        match view.secret_id() {
            Some(own) if own == id => {
                let pair = Self { mkvp: Mkvp([0; 16]), request: secret.to_vec(), id };
                findings.extend(pair.check(place, &identity, context));
            }
            Some(own) => {
                let problem = format!("'secret' adds the secret {own}, but 'secret_id' is {id}");
                findings.push(Finding::error(place, problem, advice));
            }
            None => findings.push(Finding::error(place, "'secret' adds no association secret", advice)),
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_server_takes() {
        let path = ResourcePath::parse("vfio_ap/ab/secret").unwrap();
        assert_eq!((path.to_string().as_str(), path.parts()), ("vfio_ap/ab/secret", ["vfio_ap", "ab", "secret"]));
        assert_eq!(path.local_fs_name(), "vfio_ap\\x2Fab\\x2Fsecret");
        let rows = [
            ("", "found 1"),
            ("a/b", "found 2"),
            ("a/b/c/d", "found 4"),
            ("a//c", "a part is empty"),
            ("/b/c", "a part is empty"),
            ("a/../c", "begins with a dot"),
            ("a/b/.c", "begins with a dot"),
            ("a/b/c d", "' ' is not a letter"),
            ("a/b/c\u{1b}", "'\\u{1b}' is not a letter"),
            ("a/b/\u{e4}", "is not a letter"),
        ];
        for (name, part) in rows {
            let error = ResourcePath::parse(name).expect_err(name).to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
    }

    #[test]
    fn patterns_are_read_from_digits_and_from_sysfs() {
        let expected = Mkvp([0xab; 16]);
        let digits = "AB".repeat(32);
        let texts =
            [format!("0x{digits}\n"), digits[..32].to_owned(), format!("WK CUR: valid 0x{digits}\nWK NEW: empty -")];
        for text in texts {
            assert_eq!(mkvp(&text).unwrap(), expected, "{text}");
        }
        let rows = [
            ("", "32 or 64 hex digits"),
            ("abc", "32 or 64 hex digits"),
            ("WK CUR: empty -\n", "is not valid"),
            ("WK CUR: invalid 0xab\n", "is not valid"),
            ("WK CUR: - -\n", "no pattern"),
            ("WK NEW: valid 0xab\n", "no pattern"),
        ];
        for (text, part) in rows {
            let error = mkvp(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn identities_are_those_of_association_secrets() {
        let digits = "ab".repeat(32);
        let id = SecretId::from([0xab; 32]);
        let yaml = format!("!Association\nname: n\nid: 0x{digits}\n");
        let rows =
            [(yaml.clone(), Some("n")), (format!("\"0x{}\"\n", digits.to_uppercase()), None), (digits.clone(), None)];
        for (text, name) in rows {
            let identity = SecretIdentity::parse(&text).unwrap();
            assert_eq!((identity.name.as_deref(), identity.id), (name, id), "{text}");
        }
        for (text, part) in [
            (yaml.replace("Association", "Retrievable"), "Retrievable, which binds no queue"),
            (yaml.replace("!Association\n", ""), "no tag"),
            (yaml.replace("id:", "ident:"), "no 'id'"),
            (yaml.replace("0xab", "0xgb"), "hexadecimal digits"),
            ("a: [".to_owned(), "not the name and id"),
            (digits[1..].to_owned(), "64 hexadecimal digits"),
        ] {
            let error = SecretIdentity::parse(&text).expect_err(&text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
