//! A key broker as far as an administrator sees it: the calls of `pvtools trustee` for resources and policies, and every
//! fault that they may meet.

use crate::faults::with_shim;
use crate::support::Run;
use crate::trustee::{TRUST, World};
use openssl::ssl::SslAcceptor;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

/// Bytes of a request, at most, as the server's default has it.
const LIMIT: usize = 2 << 20;

/// What a server does, beside what is right.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    /// Answers this status to each request from the given one on.
    Status(u16, usize),
    /// Answers this status to the first requests, this many of them.
    StatusUntil(u16, usize),
    /// Sends the client elsewhere.
    Redirect,
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    Close,
}

/// A request that was accepted: path and body.
pub(crate) type Accepted = Vec<(String, Vec<u8>)>;

pub(crate) struct Broker {
    pub(crate) url: String,
    accepted: Arc<Mutex<Accepted>>,
    asked: Arc<Mutex<usize>>,
}

impl Broker {
    /// Knows the token `token`.
    pub(crate) fn start(token: String, fault: Fault) -> Self {
        Self::listen(token, fault, None)
    }

    /// Behind TLS.
    pub(crate) fn start_tls(token: String, fault: Fault, acceptor: SslAcceptor) -> Self {
        Self::listen(token, fault, Some(acceptor))
    }

    fn listen(token: String, fault: Fault, acceptor: Option<SslAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let broker = Self {
            url: format!("{scheme}://{}", listener.local_addr().unwrap()),
            accepted: Arc::default(),
            asked: Arc::default(),
        };
        let (accepted, asked) = (broker.accepted.clone(), broker.asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (accepted, asked, token) = (accepted.clone(), asked.clone(), token.clone());
                let acceptor = acceptor.clone();
                // A client that goes away is none of the server's problems.
                thread::spawn(move || match acceptor {
                    None => drop(serve(stream, &token, fault, &accepted, &asked)),
                    Some(acceptor) => {
                        if let Ok(mut stream) = acceptor.accept(stream) {
                            let _ = serve(&mut stream, &token, fault, &accepted, &asked);
                            let _ = stream.shutdown();
                        }
                    }
                });
            }
        });
        broker
    }

    pub(crate) fn accepted(&self) -> Accepted {
        self.accepted.lock().unwrap().clone()
    }

    /// How many requests have come.
    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    fn paths(&self) -> Vec<String> {
        self.accepted().into_iter().map(|(path, _)| path).collect()
    }
}

fn serve(
    stream: impl Read + Write,
    token: &str,
    fault: Fault,
    accepted: &Mutex<Accepted>,
    asked: &Mutex<usize>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let (mut size, mut authorization, mut kind) = (0, String::new(), String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => size = value.parse().unwrap_or(usize::MAX),
            "authorization" => authorization = value.to_owned(),
            "content-type" => kind = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; size.min(2 * LIMIT)];
    reader.read_exact(&mut body)?;
    let number = {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        *asked
    };
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
    let right = status(method, &path, &kind, &body, authorization == format!("Bearer {token}"));
    let status = match fault {
        Fault::Close => return Ok(()),
        Fault::Hang => return reader.read_line(&mut String::new()).map(drop),
        Fault::Redirect => {
            return reader
                .get_mut()
                .write_all(b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
        }
        Fault::Status(status, from) if number >= from => status,
        Fault::StatusUntil(status, last) if number <= last => status,
        _ => right,
    };
    if status == 200 {
        accepted.lock().unwrap().push((path, body));
    }
    write!(reader.get_mut(), "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// As the broker answers: 401 for whatever it does not like.
fn status(method: &str, path: &str, kind: &str, body: &[u8], known: bool) -> u16 {
    if body.len() > LIMIT {
        return 413;
    }
    let Some(path) = path.strip_prefix("/kbs/v0/") else { return 404 };
    if !known || method != "POST" {
        return 401;
    }
    let json = || serde_json::from_slice::<Value>(body).ok().filter(|_| kind == "application/json");
    let base64url = |value: &Value| value["policy"].as_str().is_some_and(|text| !text.contains(['=', '+', '/']));
    let good = match path {
        "attestation-policy" => json()
            .is_some_and(|value| value["type"] == "rego" && value["policy_id"] == "default_cpu" && base64url(&value)),
        "resource-policy" => json().is_some_and(|value| base64url(&value)),
        "reference-value" => json().is_some_and(|value| value["version"] == "0.1.0" && value["payload"].is_string()),
        _ => {
            let parts: Vec<_> = path.split('/').collect();
            parts.len() == 4 && parts[0] == "resource" && kind == "application/octet-stream"
        }
    };
    if good { 200 } else { 401 }
}

impl World {
    /// Two requests, a key and a token.
    pub(crate) fn with_requests(self) -> Self {
        for name in ["a", "b"] {
            let args =
                ["create", "-k", "one/host.crt", "--no-verify", "--hdr", "one/se.img", "-o", name, "association", name];
            self.scratch.run("pvsecret", &args).succeeds();
        }
        self.scratch.write("mkvps", format!("WK CUR: valid 0x{}\nWK NEW: empty -\n", "AB".repeat(32)));
        self.run("key admin.key --token token").succeeds();
        self
    }

    pub(crate) fn token(&self) -> String {
        String::from_utf8(self.scratch.read("token")).unwrap()
    }

    fn send(&self, broker: &Broker) -> Run {
        self.run(&format!("{PAIRS} --url {} --token-file token --timeout 1", broker.url))
    }
}

const PAIRS: &str = "resources -r a -i a.yaml -m mkvps -r b -i b.yaml -m cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd --image one/se.img -k one/host.crt";

fn names() -> Vec<String> {
    let pair =
        |mkvp: &str| ["secret", "secret_id"].map(|tag| format!("/kbs/v0/resource/vfio_ap/{}/{tag}", mkvp.repeat(16)));
    [pair("ab"), pair("cd")].concat()
}

#[test]
fn pairs_are_sent_each_id_last() {
    let world = World::new().with_requests();
    let broker = Broker::start(world.token(), Fault::None);
    world.send(&broker).succeeds();
    let accepted = broker.accepted();
    assert_eq!(accepted.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), names());
    assert_eq!(accepted[0].1, world.scratch.read("a"));
    assert_eq!(accepted[1].1, hex::encode(openssl::sha::sha256(b"a")).into_bytes());
    // A server that fails at first, and one that closes the connection at first.
    let broker = Broker::start(world.token(), Fault::StatusUntil(500, 2));
    world.send(&broker).succeeds();
    assert_eq!(broker.accepted().len(), 4);
}

#[test]
fn policies_are_sent_values_first() {
    let world = World::new().with_requests();
    let broker = Broker::start(world.token(), Fault::None);
    world
        .run(&format!("policy --image one/se.img --registered --url {}/kbs/v0/ --token-file token", broker.url))
        .succeeds();
    assert_eq!(
        broker.paths(),
        ["reference-value", "attestation-policy", "resource-policy"].map(|path| format!("/kbs/v0/{path}"))
    );
    let shown = world.run("policy --image one/se.img --registered --show attestation").succeeds();
    assert_eq!(policy_in(&broker.accepted()[1].1), shown.stdout());
}

/// What is in the clear is for this machine itself, whatever the environment says.
#[test]
fn a_token_in_the_clear_goes_to_no_proxy() {
    let world = World::new().with_requests();
    let (broker, proxy) = (Broker::start(world.token(), Fault::None), Broker::start(world.token(), Fault::None));
    for name in ["http_proxy", "ALL_PROXY"] {
        let mut command = world.scratch.command("pvtools");
        command.args(["trustee", "policy", "--image", "one/se.img", "--registered", "--token-file", "token"]);
        let run = Run::of(command.args(["--url", &broker.url]).env(name, &proxy.url), b"");
        assert_eq!((run.status, proxy.asked()), (0, 0), "{name}: {run:?}");
    }
    assert_eq!(broker.accepted().len(), 6);
}

/// The policy in the body of its upload.
fn policy_in(body: &[u8]) -> String {
    let policy =
        serde_json::from_slice::<Value>(body).unwrap()["policy"].as_str().unwrap().replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - policy.len() % 4) % 4);
    String::from_utf8(openssl::base64::decode_block(&format!("{policy}{padding}")).unwrap()).unwrap()
}

#[test]
fn every_fault_of_a_server_is_one_clear_line_that_says_what_is_where() {
    let world = World::new().with_requests();
    let rows = [
        (Fault::Status(401, 1), vec!["answers 401", "everything that it refuses", "Nothing was sent"], 0),
        (Fault::Status(403, 1), vec!["answers 403", "ACLs of its role", "Nothing was sent"], 0),
        (Fault::Status(404, 1), vec!["answers 404", "no key broker at this address"], 0),
        (Fault::Status(413, 1), vec!["answers 413", "larger than the server takes"], 0),
        (Fault::Status(500, 1), vec!["in 3 attempts", "answers 500", "in its log alone", "Nothing was sent"], 0),
        (
            Fault::Status(503, 2),
            vec!["in 3 attempts", "On the server are now: vfio_ap/abab", "secret; send all again"],
            1,
        ),
        (Fault::Status(401, 4), vec!["answers 401", "secret_id, vfio_ap/cdcd", "send all again"], 3),
        (Fault::Redirect, vec!["answers 302", "where the token does not go"], 0),
        (Fault::Hang, vec!["in 3 attempts", "timeout", "Nothing was sent"], 0),
        (Fault::Close, vec!["in 3 attempts", "no answer from", "Nothing was sent"], 0),
    ];
    for (fault, parts, there) in rows {
        let broker = Broker::start(world.token(), fault);
        world.send(&broker).refuses(1, &parts);
        assert_eq!(broker.accepted().iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), names()[..there]);
    }
    // Nobody there.
    let gone = Broker { url: "http://127.0.0.1:1".into(), accepted: Arc::default(), asked: Arc::default() };
    world.send(&gone).refuses(1, &["in 3 attempts", "Nothing was sent"]);
    // A token that the server does not know.
    let broker = Broker::start("another".into(), Fault::None);
    world.send(&broker).refuses(1, &["answers 401"]);
    // A limit of the server, which we know beforehand, to the byte: what is over it is not sent.
    let broker = Broker::start(world.token(), Fault::None);
    for (size, part) in [
        (2 << 20, "not an add-secret request that a guest would take"),
        ((2 << 20) + 1, "it is larger than 2097152 bytes"),
    ] {
        world.scratch.write("large", vec![0; size]);
        let words = PAIRS.replacen("-r a ", "-r large ", 1);
        world.run(&format!("{words} --url {} --token-file token", broker.url)).refuses(1, &[part]);
        assert_eq!(broker.asked(), 0);
    }
}

#[test]
fn every_fault_of_a_server_stops_policies_too() {
    let world = World::new().with_requests();
    let words = "policy --image one/se.img --registered --token-file token --timeout 1";
    let all = ["reference-value", "attestation-policy", "resource-policy"].map(|path| format!("/kbs/v0/{path}"));
    let rows = [
        (Fault::Status(401, 1), "the reference values", "answers 401", 0),
        (Fault::Status(401, 3), "the resource policy", "answers 401", 2),
        (Fault::Status(403, 2), "the attestation policy", "ACLs of its role", 1),
        (Fault::Status(404, 1), "the reference values", "answers 404", 0),
        (Fault::Status(413, 2), "the attestation policy", "larger than the server takes", 1),
        (Fault::Status(500, 2), "the attestation policy", "in 3 attempts", 1),
        (Fault::Hang, "the reference values", "timeout", 0),
        (Fault::Close, "the reference values", "in 3 attempts", 0),
    ];
    for (fault, what, part, there) in rows {
        let broker = Broker::start(world.token(), fault);
        let sent = match there {
            0 => "Nothing was sent".to_owned(),
            1 => "On the server are now: the reference values".to_owned(),
            _ => "On the server are now: the reference values, the attestation policy".to_owned(),
        };
        world.run(&format!("{words} --url {}", broker.url)).refuses(1, &[what, part, &sent]);
        assert_eq!(broker.paths(), all[..there]);
    }
}

/// The whole of a renewal on a server. Wherever it stops, guests of the old image are allowed, the header is the old one
/// until everything else is there, and the same command again does the rest.
#[test]
fn renewal_on_a_server_can_stop_anywhere() {
    let world = World::new().with_requests().folder();
    let scratch = &world.scratch;
    scratch.write("secret.bin", [7; 32]);
    scratch.write("secrets.yaml", format!("- {{name: domain-1, secret: secret.bin, mkvp: '{}'}}\n", "ab".repeat(32)));
    let (old, new) = (world.tag("one"), world.tag("new"));
    let keys = format!("-k one/host.crt {TRUST} --token-file token --timeout 1");
    let renew = |url: &str| format!("renew v --image new/se.img --secrets secrets.yaml {keys} --url {url}");
    let retire = |url: &str| format!("renew v --retire {keys} --url {url}");
    let header = |machine: &str| scratch.read(&format!("{machine}/se.hdr"));
    let pair = names()[..2].to_vec();
    let expected = [vec!["/kbs/v0/attestation-policy".to_owned(), "/kbs/v0/resource-policy".to_owned()], pair].concat();
    let allows = |body: &[u8]| [&old, &new].map(|tag| policy_in(body).contains(tag));
    let begin = || assert!(std::fs::copy(scratch.join("one/se.hdr"), scratch.join("v/hdr/hdr.bin")).unwrap() > 0);
    for (fails_at, status) in (1..=expected.len()).zip([401, 413, 503, 403]) {
        begin();
        let broker = Broker::start(world.token(), Fault::Status(status, fails_at));
        let run = world.run(&renew(&broker.url));
        assert_eq!(run.status, 1, "{run:#?}");
        let last = run.stderr.lines().last().unwrap();
        let sent = if fails_at == 1 { "Nothing was sent" } else { "On the server are now: " };
        for part in [format!("answers {status}"), sent.to_owned(), "has not changed: run the command again".to_owned()]
        {
            assert!(last.contains(&part), "{part}: {run:#?}");
        }
        assert_eq!(broker.paths(), expected[..fails_at - 1]);
        assert!(broker.accepted().first().is_none_or(|(_, body)| allows(body) == [true, true]));
        assert_eq!(scratch.read("v/hdr/hdr.bin"), header("one"));
        // Again, with a server that is well.
        let broker = Broker::start(world.token(), Fault::None);
        world.run(&renew(&broker.url)).succeeds();
        assert_eq!(broker.paths(), expected);
        assert_eq!(scratch.read("v/hdr/hdr.bin"), header("new"));
    }
    // The header cannot be written, after everything was sent.
    begin();
    let broker = Broker::start(world.token(), Fault::None);
    let command = || {
        let mut command = scratch.command("pvtools");
        command.arg("trustee").args(renew(&broker.url).split_whitespace());
        command
    };
    Run::of(with_shim(command()).env("PVSIM_FAULT_LOG", scratch.join("calls")), b"").succeeds();
    let calls = String::from_utf8(scratch.read("calls")).unwrap();
    let switch = calls.lines().collect::<Vec<_>>().iter().rposition(|call| *call == "linkat").unwrap();
    begin();
    let run = Run::of(with_shim(command()).env("PVSIM_FAULT", format!("{}:5", switch + 1)), b"");
    assert!(run.status == 1 && run.stderr.contains("Cannot write to 'v/hdr/hdr.bin'"), "{run:#?}");
    assert!(run.stderr.contains("On the server are now: "), "{run:#?}");
    assert_eq!(scratch.read("v/hdr/hdr.bin"), header("one"));
    assert_eq!(broker.paths(), [expected.clone(), expected.clone()].concat());
    world.run(&renew(&broker.url)).succeeds();
    // Guests have gone over. A server that fails leaves both allowed; then the new one alone.
    for fails_at in 1..=2 {
        let failing = Broker::start(world.token(), Fault::Status(500, fails_at));
        world.run(&retire(&failing.url)).refuses(1, &["answers 500"]);
        assert_eq!(failing.paths(), expected[..fails_at - 1]);
    }
    let broker = Broker::start(world.token(), Fault::None);
    world.run(&retire(&broker.url)).succeeds();
    assert_eq!(broker.paths(), expected[..2]);
    assert_eq!(allows(&broker.accepted()[0].1), [false, true]);
    assert_eq!(scratch.read("v/hdr/hdr.bin"), header("new"));
    // Retired too early, the image of the folder is the one that stays.
    begin();
    let broker = Broker::start(world.token(), Fault::None);
    world.run(&retire(&broker.url)).succeeds();
    assert_eq!(allows(&broker.accepted()[0].1), [true, false]);
}

#[test]
fn nothing_is_sent_when_something_is_wrong_here() {
    let world = World::new().with_requests();
    let broker = Broker::start(world.token(), Fault::None);
    let url = &broker.url;
    let payload =
        |claims: Value| openssl::base64::encode_block(claims.to_string().as_bytes()).trim_end_matches('=').to_owned();
    world.scratch.write("old", format!("e30.{}.QQ", payload(json!({ "role": "admin", "exp": 1000 }))));
    world.scratch.write("guest", format!("e30.{}.QQ", payload(json!({ "sub": "x" }))));
    world.scratch.write("large", vec![0; (2 << 20) + 1]);
    world.scratch.write("empty-mk", "WK CUR: empty -\nWK NEW: empty -\n");
    world.scratch.write("cut-mk", "WK CUR: - -\n");
    world.scratch.write("retrievable.yaml", format!("!Retrievable\nkind: 3\nname: a\nid: 0x{}\n", "ab".repeat(32)));
    world
        .scratch
        .write("renamed.yaml", String::from_utf8(world.scratch.read("a.yaml")).unwrap().replace("name: a", "name: x"));
    let good =
        format!("resources -r a -i a.yaml -m mkvps --image one/se.img -k one/host.crt --url {url} --token-file token");
    let rows = [
        ("--token-file token", "--token-file old", "the token expired"),
        ("--token-file token", "--token-file guest", "has no 'role'"),
        ("--token-file token", "--token-file a.yaml", "not a token"),
        (url.as_str(), "http://kbs.example.com", "expected 'https://'"),
        ("-m mkvps", "-m empty-mk", "the current wrapping key is not valid"),
        ("-m mkvps", "-m cut-mk", "no pattern in the line 'WK CUR:'"),
        ("-m mkvps", "-m abcd", "is not a master key verification pattern"),
        ("-m mkvps", "-m nowhere", "Cannot read master key verification pattern at 'nowhere'"),
        ("-r a ", "-r large ", "it is larger than 2097152 bytes"),
        ("-r a ", "-r one/se.hdr ", "not an add-secret request"),
        ("-i a.yaml", "-i b.yaml", "the request adds the secret"),
        ("-i a.yaml", "-i retrievable.yaml", "a secret of the kind Retrievable"),
        ("-i a.yaml", "-i renamed.yaml", "is not that of the name 'x'"),
        ("--image one/se.img", "--image new/se.img", "which is not among those given"),
        ("-k one/host.crt", "-k two/host.crt", "a key slot for none of the host keys"),
        ("-i a.yaml", "-i a.yaml -r b -i b.yaml -m mkvps", "two requests for the master key"),
        ("-m mkvps", "-m mkvps -m mkvps", "expected as many '-i' and '-m' as '-r'"),
        ("--token-file token", "--token-file token --ca-file a.yaml", "Cannot use 'a.yaml' as CA file"),
    ];
    for (from, to, part) in rows {
        assert!(good.contains(from), "{from}");
        let run = world.run(&good.replacen(from, to, 1));
        assert!([1, 2].contains(&run.status), "{to}: {run:#?}");
        assert!(run.stderr.contains(part), "{to}: {run:#?}");
        assert_eq!(broker.asked(), 0, "{to}");
    }
}

#[test]
fn pairs_are_written_as_folder_and_as_files_of_a_server() {
    let world = World::new().with_requests();
    let run = world.run(&format!("{PAIRS} --folder out --local-fs store")).succeeds();
    assert_eq!(run.stderr.matches("Successfully wrote 4 resources; 0 existed already").count(), 2, "{run:?}");
    let mkvp = "ab".repeat(16);
    let id = hex::encode(openssl::sha::sha256(b"a")).into_bytes();
    assert_eq!(world.scratch.read(&format!("out/vfio_ap/{mkvp}/secret")), world.scratch.read("a"));
    assert_eq!(world.scratch.read(&format!("out/vfio_ap/{mkvp}/secret_id")), id);
    assert_eq!(world.scratch.read(&format!("store/repository/vfio_ap\\x2F{mkvp}\\x2Fsecret_id")), id);
    let run = world.run(&format!("{PAIRS} --folder out")).succeeds();
    assert!(run.stderr.contains("0 resources; 4 existed already"), "{run:?}");
    // What is stored can be checked, also what somebody else stored.
    let check = |secret: &str, id: &str| {
        world.run(&format!("resources --check -r {secret} -i {id} --image one/se.img -k one/host.crt"))
    };
    let secret = format!("out/vfio_ap/{mkvp}/secret");
    check(&secret, &format!("{secret}_id")).succeeds();
    check("a", "a.yaml").succeeds();
    let digits = hex::encode(openssl::sha::sha256(b"a"));
    for (content, status) in [
        (format!("0x{digits}\n"), 0),
        (format!("\"{digits}\""), 2),
        (format!(" {digits}"), 2),
        (digits.to_uppercase(), 2),
        ("abc".to_owned(), 2),
        (hex::encode(openssl::sha::sha256(b"b")), 2),
    ] {
        world.scratch.write("id", &content);
        assert_eq!(check(&secret, "id").status, status, "{content}");
    }
    let stranger = world.run("resources --check -r a -i a.yaml -k one/host.crt -k two/host.crt");
    assert_eq!(stranger.status, 3, "{stranger:#?}");
    assert_eq!(world.run(PAIRS).refuses(1, &["nothing to do"]).stdout(), "");
}
