//! Keys and tokens of administrators (JWT, EdDSA).

use crate::Error;
use crate::encoding::{base64url, from_base64url};
use openssl::pkey::{Id, PKey, Private};
use openssl::sign::Signer;
use serde_json::{Value, json};
use std::fmt;
use uvtypes::SecretBox;
use zeroize::Zeroizing;

/// No token lives longer: a day, in seconds.
pub(crate) const MAX_LIFETIME: i64 = 24 * 60 * 60;
/// A server takes a token this many seconds longer.
const LEEWAY: i64 = 30;

/// The Ed25519 key that signs an administrator's tokens.
#[derive(Clone)]
pub struct AdminKey(PKey<Private>);

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey")
    }
}

/// Claims of a token: who may do what, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClaims {
    /// `iss`, as the server's configuration has it.
    pub issuer: String,
    /// `aud`, if the server's configuration has one.
    pub audience: Option<String>,
    /// `role`, for which the server's configuration has an ACL.
    pub role: String,
    /// `iat`, in seconds since 1970.
    pub issued: i64,
    /// Seconds until `exp`.
    pub lifetime: i64,
}

impl AdminKey {
    /// A fresh Ed25519 key.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn generate() -> Result<Self, Error> {
        Ok(Self(PKey::generate_ed25519()?))
    }

    /// The key in a PEM file without a passphrase.
    ///
    /// # Errors
    /// [`Error::NotAnEd25519Key`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(|_| Error::NotAnEd25519Key)?;
        if key.id() == Id::ED25519 { Ok(Self(key)) } else { Err(Error::NotAnEd25519Key) }
    }

    /// The private key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn to_pem(&self) -> Result<SecretBox<Vec<u8>>, Error> {
        Ok(SecretBox::new(self.0.private_key_to_pem_pkcs8()?))
    }

    /// The public half as PEM, which the server's `public_key_uri` names.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn public_pem(&self) -> Result<Vec<u8>, Error> {
        Ok(self.0.public_key_to_pem()?)
    }

    /// Makes a token with these claims, signed with this key.
    ///
    /// # Errors
    /// [`Error::Lifetime`], [`Error::OpenSsl`].
    pub fn token(&self, claims: &TokenClaims) -> Result<Token, Error> {
        if !(1..=MAX_LIFETIME).contains(&claims.lifetime) {
            return Err(Error::Lifetime(claims.lifetime));
        }
        let expires = claims.issued.saturating_add(claims.lifetime);
        let mut payload = json!({ "iss": claims.issuer, "role": claims.role, "iat": claims.issued, "exp": expires });
        if let (Some(audience), Value::Object(payload)) = (&claims.audience, &mut payload) {
            payload.insert("aud".to_owned(), json!(audience));
        }
        let header = json!({ "alg": "EdDSA", "typ": "JWT" }).to_string();
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.to_string().as_bytes()));
        let signature = Signer::new_without_digest(&self.0)?.sign_oneshot_to_vec(signed.as_bytes())?;
        Ok(Token { text: Zeroizing::new(format!("{signed}.{}", base64url(&signature))), expires: Some(expires) })
    }
}

/// A token: who has it is an administrator until it expires.
#[derive(Clone)]
pub struct Token {
    text: Zeroizing<String>,
    expires: Option<i64>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(expires {:?})", self.expires)
    }
}

impl Token {
    /// A token in a file; white space around it does not count. The signature is for the server to check.
    ///
    /// # Errors
    /// [`Error::NotAToken`]; [`Error::TokenClaims`] when there is no `role`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let parts: Vec<_> = text.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else { return Err(Error::NotAToken) };
        let object = |part: &str| -> Option<Value> {
            let value: Value = serde_json::from_slice(&from_base64url(part)?).ok()?;
            value.is_object().then_some(value)
        };
        let (Some(_), Some(payload)) = (object(header), object(payload)) else { return Err(Error::NotAToken) };
        if from_base64url(signature).is_none_or(|signature| signature.is_empty()) {
            return Err(Error::NotAToken);
        }
        if payload.get("role").and_then(Value::as_str).is_none() {
            return Err(Error::TokenClaims("has no 'role': it is not an administrator's".to_owned()));
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), expires: payload.get("exp").and_then(Value::as_i64) })
    }

    /// The text that goes behind `Authorization: Bearer`.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Time at which the token expires, in seconds since 1970.
    pub fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// Refuses a token that a server would refuse for its age.
    ///
    /// # Errors
    /// [`Error::TokenExpired`].
    pub fn check_time(&self, now: i64) -> Result<(), Error> {
        match self.expires {
            Some(expires) if now.saturating_sub(expires) > LEEWAY => {
                Err(Error::TokenExpired(now.saturating_sub(expires)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::sign::Verifier;

    fn claims() -> TokenClaims {
        TokenClaims {
            issuer: "pvtools".into(),
            audience: Some("kbs".into()),
            role: "admin".into(),
            issued: 1_000_000,
            lifetime: 900,
        }
    }

    #[test]
    fn token_is_signed_and_says_what_the_server_asks_for() {
        let key = AdminKey::generate().unwrap();
        let token = AdminKey::from_pem(key.to_pem().unwrap().expose()).unwrap().token(&claims()).unwrap();
        let (signed, signature) = token.expose().rsplit_once('.').unwrap();
        let public = PKey::public_key_from_pem(&key.public_pem().unwrap()).unwrap();
        let mut verifier = Verifier::new_without_digest(&public).unwrap();
        assert!(verifier.verify_oneshot(&from_base64url(signature).unwrap(), signed.as_bytes()).unwrap());
        let part = |number: usize| -> Value {
            serde_json::from_slice(&from_base64url(signed.split('.').nth(number).unwrap()).unwrap()).unwrap()
        };
        assert_eq!(part(0), json!({ "alg": "EdDSA", "typ": "JWT" }));
        let expected = json!({ "iss": "pvtools", "aud": "kbs", "role": "admin", "iat": 1_000_000, "exp": 1_000_900 });
        assert_eq!(part(1), expected);
    }

    #[test]
    fn age_is_judged_as_servers_do() {
        let token = AdminKey::generate().unwrap().token(&claims()).unwrap();
        let token = Token::parse(&format!(" {}\n", token.expose())).unwrap();
        assert_eq!(token.expires(), Some(1_000_900));
        assert!(token.check_time(1_000_930).is_ok());
        assert!(matches!(token.check_time(1_000_931), Err(Error::TokenExpired(31))));
        assert_eq!(format!("{token:?}"), "Token(expires Some(1000900))");
    }

    #[test]
    fn nobody_gets_a_token_for_years() {
        let key = AdminKey::generate().unwrap();
        for lifetime in [-1, 0, MAX_LIFETIME + 1, 315_360_000] {
            let error = key.token(&TokenClaims { lifetime, ..claims() }).unwrap_err();
            assert!(matches!(error, Error::Lifetime(found) if found == lifetime), "{error}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let no_role = format!("{}.{}.QQ", base64url(b"{}"), base64url(b"{\"exp\":1}"));
        for (text, expected) in [
            ("", "not a token"),
            ("a.b", "not a token"),
            ("a.b.c.d", "not a token"),
            ("e30.e30.", "not a token"),
            ("e30.W10.QQ", "not a token"),
            (no_role.as_str(), "no 'role'"),
        ] {
            let error = Token::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let rsa = openssl::rsa::Rsa::generate(2048).unwrap().private_key_to_pem().unwrap();
        assert!(matches!(AdminKey::from_pem(&rsa), Err(Error::NotAnEd25519Key)));
    }
}
