//! CRLs from distribution points: a server on this machine that answers as servers do, well and badly.

use crate::support::{Run, Scratch};
use openssl::x509::X509Crl;
use pvsim::HostKey;
use pvsim::pki::{CrlSpec, DAY, Keys, Pki, Plan, Reason, common_name};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::quick(&HostKey::generate().unwrap()).unwrap());

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// What a path answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Body(u16, &'static str, Vec<u8>),
    Redirect(&'static str),
    /// With a content encoding.
    Packed(Vec<u8>),
    /// Nothing, for longer than anybody waits.
    Silence,
    /// More than anybody wants, until the other side goes away.
    Endless,
    /// The connection ends in mid-header.
    Cut,
}

pub(crate) fn ok(body: Vec<u8>) -> Answer {
    Answer::Body(200, "application/pkix-crl", body)
}

pub(crate) struct Server {
    pub(crate) address: String,
    routes: Arc<Mutex<BTreeMap<&'static str, Answer>>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            routes: Arc::default(),
            asked: Arc::default(),
        };
        let (routes, asked) = (server.routes.clone(), server.asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                asked.fetch_add(1, Ordering::SeqCst);
                let routes = routes.clone();
                // A client that goes away is none of the server's problems.
                thread::spawn(move || drop(serve(stream, &routes)));
            }
        });
        server
    }

    pub(crate) fn route(&self, path: &'static str, answer: Answer) {
        self.routes.lock().unwrap().insert(path, answer);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The first line of a request; its headers are read and dropped.
fn read_request(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    Ok(request)
}

fn serve(mut stream: TcpStream, routes: &Mutex<BTreeMap<&'static str, Answer>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = read_request(&mut reader)?;
    if request.starts_with("CONNECT ") {
        // A proxy's way to another host, which we then play too.
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        request = read_request(&mut reader)?;
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = routes.lock().unwrap().get(path.as_str()).cloned();
    match answer.unwrap_or(Answer::Body(404, "text/html", b"<p>not here</p>".to_vec())) {
        Answer::Body(status, kind, body) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)
        }
        Answer::Redirect(to) => {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes())
        }
        Answer::Packed(body) => {
            let head = format!(
                "HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)
        }
        Answer::Silence => {
            // Until the client gives up.
            let mut nothing = String::new();
            reader.read_line(&mut nothing).map(drop)
        }
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 65536])?;
            }
        }
        Answer::Cut => stream.write_all(b"HTTP/1.1 200 O"),
    }
}

/// A port at which nobody listens.
fn closed() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}/closed")
}

pub(crate) fn pem(crl: &X509Crl) -> Vec<u8> {
    crl.to_pem().unwrap()
}

/// One situation: where the host-key document's points are, what is where, and which CRLs are given.
pub(crate) struct Situation {
    pub(crate) server: Server,
    pub(crate) plan: Plan,
    pub(crate) pki: Pki,
    /// CRLs given with `--crl`.
    pub(crate) given: Vec<Vec<u8>>,
    /// Further options.
    options: &'static [&'static str],
    pub(crate) scratch: Scratch,
}

impl Situation {
    /// Every CRL at its distribution point.
    pub(crate) fn new(change: impl FnOnce(&mut Plan, &Server)) -> Self {
        let server = Server::start();
        let mut plan = Plan::new(&KEYS, now());
        plan.host_key.distribution_points = vec![vec![server.url("/ibm.crl")]];
        plan.signing_key.distribution_points = vec![vec![server.url("/inter.crl")]];
        plan.intermediate.distribution_points = vec![vec![server.url("/root.crl")]];
        change(&mut plan, &server);
        let pki = plan.build().unwrap();
        let [root, intermediate, signing_key] = &pki.crls;
        server.route("/root.crl", ok(root.to_der().unwrap()));
        server.route("/inter.crl", ok(intermediate.to_der().unwrap()));
        server.route("/ibm.crl", ok(pem(signing_key)));
        Self { server, plan, pki, given: Vec::new(), options: &[], scratch: Scratch::new() }
    }

    pub(crate) fn signed(&self, change: impl FnOnce(&mut CrlSpec)) -> Vec<u8> {
        let mut spec = self.plan.signing_key_crl.clone();
        change(&mut spec);
        pem(&spec.sign(&self.pki.signing_key).unwrap())
    }

    pub(crate) fn verify(&self, options: &[&str]) -> Run {
        self.write();
        self.run(options)
    }

    pub(crate) fn write(&self) {
        let certificate = |authority: &pvsim::pki::Authority| authority.certificate.to_pem().unwrap();
        self.scratch.write("host.crt", self.pki.host_key_document.to_pem().unwrap());
        self.scratch.write("ibm.crt", certificate(&self.pki.signing_key));
        self.scratch.write("inter.crt", certificate(&self.pki.intermediate));
        self.scratch.write("root.crt", certificate(&self.pki.root));
        for (number, crl) in self.given.iter().enumerate() {
            self.scratch.write(&format!("{number}.crl"), crl);
        }
    }

    pub(crate) fn run(&self, options: &[&str]) -> Run {
        let mut command = self.scratch.command("pvverify");
        command
            .args(["-k", "host.crt", "-C", "ibm.crt,inter.crt", "--root-ca", "root.crt"])
            .args(self.options)
            .args(options);
        command.args((0..self.given.len()).flat_map(|number| ["--crl".to_owned(), format!("{number}.crl")]));
        Run::of(command.env("XDG_CACHE_HOME", self.scratch.join("cache")), b"")
    }
}

pub(crate) fn expired(spec: &mut CrlSpec) {
    (spec.last_update, spec.next_update) = (now() - 2 * DAY, Some(now() - 60));
}

fn points(plan: &mut Plan, server: &Server, points: &[&[&str]]) {
    let url = |path: &&str| if path.starts_with('/') { server.url(path) } else { (*path).to_owned() };
    plan.host_key.distribution_points = points.iter().map(|point| point.iter().map(url).collect()).collect();
}

/// A part of the reason; empty when the document is accepted.
pub(crate) type Row = (&'static str, fn() -> Situation, &'static str);

pub(crate) const ROWS: &[Row] = &[
    ("net-all", || Situation::new(|_, _| {}), ""),
    ("net-der", || with_answer(|s| ok(s.pki.crls[2].to_der().unwrap())), ""),
    ("net-content-type", || with_answer(|s| Answer::Body(200, "text/html", pem(&s.pki.crls[2]))), ""),
    (
        "net-redirect",
        || {
            let s = with_answer(|_| Answer::Redirect("/moved"));
            s.server.route("/moved", ok(pem(&s.pki.crls[2])));
            s
        },
        "",
    ),
    ("net-second-uri", || with_points(&[&["closed", "/ibm.crl"]]), ""),
    ("net-second-point", || with_points(&[&["closed"], &["/ibm.crl"]]), ""),
    (
        "net-cert-then-crl",
        || {
            let s = with_points(&[&["/cert", "/ibm.crl"]]);
            s.server.route("/cert", ok(s.pki.root.certificate.to_pem().unwrap()));
            s
        },
        "",
    ),
    ("net-html-then-crl", || with_points(&[&["/nothing", "/ibm.crl"]]), ""),
    ("net-other-name", || with_answer(|s| ok(s.signed(|spec| spec.issuer = common_name("Other")))), "no CRL of 'C=US"),
    ("net-status-404", || with_answer(|s| Answer::Body(404, "text/plain", pem(&s.pki.crls[2]))), ""),
    ("net-file-uri", || with_points(&[&["file:///etc/passwd"]]), "from file:///etc/passwd: no answer"),
    ("net-local-and-closed", || with_given(&[&["closed"]], |s| pem(&s.pki.crls[2])), ""),
    ("net-local-and-none", || with_given(&[], |s| pem(&s.pki.crls[2])), ""),
    (
        "net-stale-answer",
        || {
            let mut s = with_answer(|s| ok(s.signed(expired)));
            s.given.push(pem(&s.pki.crls[2]));
            s
        },
        "",
    ),
    ("net-stale-local", || with_given(&[&["/ibm.crl"]], |s| s.signed(expired)), ""),
    ("net-expired-answer", || with_answer(|s| ok(s.signed(expired))), "the answer holds no current CRL of the issuer"),
    (
        "net-first-answer-wins",
        || {
            let s = with_points(&[&["/old.crl", "/ibm.crl"]]);
            s.server.route("/old.crl", ok(s.signed(expired)));
            s
        },
        "",
    ),
    (
        "net-fresh-revokes",
        || {
            let mut s = with_answer(|s| ok(s.signed(|spec| spec.revoked = vec![(4, Reason::Unspecified)])));
            s.given.push(pem(&s.pki.crls[2]));
            s.options = &["--refresh"];
            s
        },
        "it is revoked: since",
    ),
    ("net-closed", || with_points(&[&["closed"]]), "Connection refused"),
    ("net-none", || with_points(&[]), "no CRL of 'C=US"),
    ("net-missing", || with_points(&[&["/nothing"]]), "the answer holds no current CRL"),
    ("net-empty", || with_answer(|_| ok(Vec::new())), "the answer holds no current CRL"),
    ("net-loop", || with_answer(|_| Answer::Redirect("/ibm.crl")), "/ibm.crl, which is one redirect too many"),
    ("net-slow", || with_answer(|_| Answer::Silence), "timeout"),
    (
        "net-signer-no-dp",
        || Situation::new(|plan, _| plan.signing_key.distribution_points.clear()),
        "(level 0 of the chain) is revoked is not known",
    ),
    (
        "net-inter-closed",
        || Situation::new(|plan, _| plan.intermediate.distribution_points = vec![vec![closed()]]),
        "(level 1 of the chain) is revoked is not known",
    ),
    // Beyond those of the shared matrix.
    ("own-huge", || with_answer(|_| Answer::Endless), "is larger than 16777216 bytes"),
    (
        "own-given-is-enough",
        || {
            let mut s = with_answer(|s| ok(s.signed(|spec| spec.revoked = vec![(4, Reason::Unspecified)])));
            s.given.push(pem(&s.pki.crls[2]));
            s
        },
        "",
    ),
    (
        "own-redirect-to-file",
        || with_answer(|_| Answer::Redirect("file:///etc/passwd")),
        "redirects to file:///etc/passwd, which is neither http: nor https:",
    ),
    (
        "own-packed",
        || with_answer(|_| Answer::Packed(vec![0x1f, 0x8b, 8, 0])),
        "the answer is compressed ('Content-Encoding: gzip'), which was not requested",
    ),
    ("own-escapes", || with_answer(|_| Answer::Redirect("file:///\u{9b}31m\u{202e}")), "redirects to file:///"),
    ("own-cut", || with_answer(|_| Answer::Cut), "no answer from"),
    ("own-garbage", || with_answer(|_| ok(vec![0x30; 5000])), "the answer holds no current CRL"),
    ("own-forged", || with_answer(|s| ok(s.signed(|spec| spec.broken = true))), "has a signature that does not hold"),
];

fn with_answer(answer: impl FnOnce(&Situation) -> Answer) -> Situation {
    let situation = Situation::new(|_, _| {});
    situation.server.route("/ibm.crl", answer(&situation));
    situation
}

/// `closed` stands for a port at which nobody listens.
fn with_points(paths: &[&[&str]]) -> Situation {
    let closed = closed();
    let paths: Vec<Vec<&str>> = paths
        .iter()
        .map(|point| point.iter().map(|path| if *path == "closed" { closed.as_str() } else { path }).collect())
        .collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    Situation::new(|plan, server| points(plan, server, &paths))
}

fn with_given(paths: &[&[&str]], given: impl FnOnce(&Situation) -> Vec<u8>) -> Situation {
    let mut situation = with_points(paths);
    let crl = given(&situation);
    situation.given.push(crl);
    situation
}

#[test]
fn every_answer_of_a_server_has_its_verdict() {
    let wrong = thread::scope(|scope| {
        // Some rows wait for a time-out: all at once, that is one time-out.
        let rows = ROWS.iter().map(|(id, situation, reason)| {
            scope.spawn(move || {
                let run = situation().verify(&[]);
                let right = match reason.is_empty() {
                    true => run.status == 0,
                    false => run.status == 1 && run.stderr.contains(reason) && run.stderr.lines().count() == 1,
                };
                (!right).then(|| format!("{id}: expected '{reason}': {run:#?}"))
            })
        });
        let rows: Vec<_> = rows.collect();
        rows.into_iter().filter_map(|row| row.join().unwrap()).collect::<Vec<_>>()
    });
    println!("{} answers", ROWS.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ROWS.len(), wrong.join("\n"));
}

#[test]
fn offline_asks_nobody_and_uses_the_cache() {
    let situation = Situation::new(|_, _| {});
    let run = situation.verify(&["--offline"]);
    assert_eq!((run.status, situation.server.asked()), (1, 0), "net-offline: {run:?}");
    assert!(run.stderr.contains("it can be downloaded from http://127.0.0.1:"), "{run:?}");
    situation.verify(&[]).succeeds();
    let asked = situation.server.asked();
    assert_eq!(asked, 3);
    situation.verify(&["--offline"]).succeeds();
    situation.verify(&[]).succeeds();
    assert_eq!(situation.server.asked(), asked, "what is in the cache is not asked for again");
}

#[test]
fn cache_is_not_trusted() {
    let situation = Situation::new(|_, _| {});
    let good = pem(&situation.pki.crls[2]);
    situation.server.route("/ibm.crl", ok(situation.signed(|spec| spec.broken = true)));
    assert_eq!(situation.verify(&[]).status, 1);
    assert_eq!(situation.verify(&["--offline"]).status, 1);
    situation.server.route("/ibm.crl", ok(good));
    situation.verify(&[]).succeeds();
    situation.verify(&["--offline"]).succeeds();
    for entry in std::fs::read_dir(situation.scratch.join("cache/pvtools/crl")).unwrap() {
        std::fs::write(entry.unwrap().path(), "garbage").unwrap();
    }
    assert_eq!(situation.verify(&["--offline"]).status, 1);
    situation.verify(&[]).succeeds();
}

#[test]
fn processes_share_the_cache() {
    let situation = Situation::new(|_, _| {});
    situation.write();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| situation.run(&[]).succeeds());
        }
    });
    let folder = situation.scratch.join("cache/pvtools/crl");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 3, "nothing but the three CRLs");
    situation.verify(&["--offline"]).succeeds();
}

#[test]
fn bundle_verifies_where_there_is_no_network() {
    let situation = Situation::new(|_, _| {});
    situation.write();
    let mut command = situation.scratch.command("pvtools");
    command.args([
        "trust-bundle",
        "-k",
        "host.crt",
        "-C",
        "ibm.crt,inter.crt",
        "--root-ca",
        "root.crt",
        "-o",
        "bundle",
    ]);
    let run = Run::of(&mut command, b"").succeeds();
    let asked = situation.server.asked();
    let options: Vec<_> = run.stdout().split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
    assert!(options.contains(&"bundle/crl-3.pem".to_owned()), "{run:?}");
    let run = situation.scratch.run("pvverify", &options).succeeds();
    assert_eq!(run.stderr, "Use host-key document at 'bundle/hkd-1.pem'\nHost-key documents verified.\n");
    assert_eq!(situation.server.asked(), asked);
    // What would not be one argument of the printed options is refused before anything is made.
    for folder in ["with,comma", "with\u{1b}escape"] {
        let words =
            ["trust-bundle", "-k", "host.crt", "-C", "ibm.crt,inter.crt", "--root-ca", "root.crt", "-o", folder];
        let run = Run::of(situation.scratch.command("pvtools").args(words), b"");
        assert_eq!((run.status, run.stdout(), situation.scratch.join(folder).exists()), (1, "", false), "{run:?}");
        assert!(run.stderr.contains("its options cannot have ','"), "{run:?}");
    }
    // And a quote is quoted: the shell's own reading of what was printed.
    let folder = "b'; touch made; '";
    let words = ["trust-bundle", "-k", "host.crt", "-C", "ibm.crt,inter.crt", "--root-ca", "root.crt", "-o", folder];
    let run = Run::of(situation.scratch.command("pvtools").args(words), b"").succeeds();
    let script = format!("printf '%s\\n' {}", run.stdout());
    let shell = std::process::Command::new("sh").current_dir(situation.scratch.path()).args(["-c", &script]).output();
    let shell = String::from_utf8(shell.unwrap().stdout).unwrap();
    let options: Vec<_> = shell.lines().map(str::to_owned).collect();
    assert!(!situation.scratch.join("made").exists());
    situation.scratch.run("pvverify", &options).succeeds();
}

#[test]
fn proxy_of_the_environment_is_asked() {
    let closed = closed();
    let situation = Situation::new(|plan, _| {
        plan.host_key.distribution_points = vec![vec!["http://crl.invalid/ibm.crl".to_owned()]];
    });
    situation.write();
    let run = |proxy: &str| {
        let mut command = situation.scratch.command("pvverify");
        command.args(["-k", "host.crt", "-C", "ibm.crt,inter.crt", "--root-ca", "root.crt"]);
        command.env("http_proxy", proxy).env("no_proxy", "127.0.0.1");
        Run::of(&mut command, b"")
    };
    let proxy = Server::start();
    proxy.route("/ibm.crl", ok(pem(&situation.pki.crls[2])));
    let good = run(&proxy.address);
    assert_eq!((good.status, proxy.asked()), (0, 1), "{good:?}");
    let bad = run(closed.trim_end_matches("/closed"));
    assert!(bad.stderr.contains("from http://crl.invalid/ibm.crl: no answer"), "{bad:?}");
}
