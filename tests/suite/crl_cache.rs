//! CRLs that are kept: nobody else's folder, link, pipe, certificate or answer turns them against the caller. And what is
//! asked for, and what of it is in the output.

use crate::crl_download::{Answer, KEYS, Situation, expired, ok, pem};
use crate::support::{Run, own_user_only};
use openssl::x509::X509Crl;
use pvsim::pki::{CertificateSpec, Reason};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Puts something at a path.
type Put<'a> = &'a dyn Fn(&Path);

/// Somebody else.
const STRANGER: u32 = 65534;

fn folder(situation: &Situation) -> PathBuf {
    situation.scratch.join("cache/pvtools/crl")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The entry of the signing key's CRL.
fn of_signing_key(situation: &Situation) -> PathBuf {
    let wanted = situation.pki.crls[2].to_der().unwrap();
    entries(&folder(situation)).into_iter().find(|path| fs::read(path).unwrap() == wanted).unwrap()
}

#[test]
fn only_verified_crls_of_the_issuer_are_kept_and_a_worse_answer_replaces_none() {
    let situation = Situation::new(|_, _| {});
    situation.verify(&[]).succeeds();
    let kept = entries(&folder(&situation));
    let contents: Vec<_> = kept.iter().map(|path| fs::read(path).unwrap()).collect();
    for crl in &situation.pki.crls {
        assert!(contents.contains(&crl.to_der().unwrap()));
    }
    let old = situation.signed(|spec| spec.last_update -= 60);
    let answers = [
        ok(b"* * * * * root touch /pwned\n".to_vec()),
        ok(situation.signed(|spec| spec.broken = true)),
        ok(situation.signed(expired)),
        ok(situation.pki.root.certificate.to_pem().unwrap()),
        ok(Vec::new()),
        ok(old),
    ];
    for answer in answers {
        situation.server.route("/ibm.crl", answer);
        // What is kept is good enough, whatever the server says.
        situation.verify(&["--refresh"]).succeeds();
        let now: Vec<_> = kept.iter().map(|path| fs::read(path).unwrap()).collect();
        assert_eq!((entries(&folder(&situation)), now), (kept.clone(), contents.clone()));
    }
    // A newer one does.
    let newer = situation.signed(|spec| spec.last_update += 60);
    situation.server.route("/ibm.crl", ok(newer.clone()));
    situation.verify(&["--refresh"]).succeeds();
    let newer = X509Crl::from_pem(&newer).unwrap().to_der().unwrap();
    assert!(kept.iter().any(|path| fs::read(path).unwrap() == newer));
    assert_eq!(entries(&folder(&situation)), kept);
}

#[test]
fn nothing_else_in_place_of_a_kept_crl_is_followed_waited_for_or_read() {
    let situation = Situation::new(|_, _| {});
    situation.verify(&[]).succeeds();
    let (entry, good) = (of_signing_key(&situation), situation.pki.crls[2].to_der().unwrap());
    let put: [(&str, Put); 6] = [
        ("FIFO", &|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        ("link to a device without end", &|path| symlink("/dev/zero", path).unwrap()),
        ("link to a good CRL", &|path| {
            let elsewhere = situation.scratch.write("elsewhere.crl", &good);
            symlink(elsewhere, path).unwrap();
        }),
        ("sparse file of 3 GiB", &|path| fs::File::create(path).unwrap().set_len(3 << 30).unwrap()),
        ("folder", &|path| fs::create_dir(path).unwrap()),
        ("file that others can write", &|path| {
            fs::write(path, &good).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (what, put) in put {
        if entry.is_dir() { fs::remove_dir(&entry) } else { fs::remove_file(&entry) }.unwrap();
        put(&entry);
        let start = Instant::now();
        let run = situation.verify(&["--offline"]);
        assert_eq!(run.status, 1, "{what}: {run:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        // Online all is well; a folder stays, and is the only one that no CRL can be kept in place of.
        situation.verify(&[]).succeeds();
        assert_eq!(situation.verify(&["--offline"]).status, i32::from(what == "folder"), "{what}");
    }
}

#[test]
fn folders_of_others_are_no_cache() {
    if !own_user_only() {
        println!("as root, also another user's folders are tried");
    }
    let situation = Situation::new(|_, _| {});
    situation.write();
    let cron = situation.scratch.join("cron.d");
    fs::create_dir(&cron).unwrap();
    let ways: [(&str, bool, Put); 5] = [
        ("link as the last folder", false, &|cache| {
            fs::create_dir_all(cache.join("pvtools")).unwrap();
            symlink(&cron, cache.join("pvtools/crl")).unwrap();
        }),
        ("link as the folder before", false, &|cache| {
            fs::create_dir_all(cache).unwrap();
            symlink(&cron, cache.join("pvtools")).unwrap();
        }),
        ("open to others", false, &|cache| {
            fs::create_dir_all(cache.join("pvtools/crl")).unwrap();
            fs::set_permissions(cache.join("pvtools/crl"), Permissions::from_mode(0o777)).unwrap();
        }),
        ("another user's home", true, &|cache| {
            fs::create_dir_all(cache).unwrap();
            chown(cache, Some(STRANGER), None).unwrap();
        }),
        ("another user's link", true, &|cache| {
            symlink(&cron, cache).unwrap();
            std::os::unix::fs::lchown(cache, Some(STRANGER), None).unwrap();
        }),
    ];
    for (what, needs_root, make) in ways {
        if needs_root && own_user_only() {
            crate::support::left_out(format!("only root can make that cache for {what}"));
            continue;
        }
        let cache = situation.scratch.join("cache");
        make(&cache);
        let before: Vec<_> = walk(&cache);
        situation.run(&[]).succeeds();
        assert_eq!(walk(&cache), before, "{what}: nothing was made");
        assert_eq!(fs::read_dir(&cron).unwrap().count(), 0, "{what}");
        assert_eq!(situation.run(&["--offline"]).status, 1, "{what}");
        if cache.is_symlink() { fs::remove_file(&cache) } else { fs::remove_dir_all(&cache) }.unwrap();
    }
}

#[test]
fn home_of_another_user_gets_no_folders() {
    if own_user_only() {
        crate::support::left_out("not root");
        return;
    }
    let situation = Situation::new(|_, _| {});
    situation.write();
    let home = situation.scratch.join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(STRANGER), None).unwrap();
    let mut command = situation.scratch.command("pvverify");
    command.args(["-k", "host.crt", "-C", "ibm.crt,inter.crt", "--root-ca", "root.crt"]);
    let run = Run::of(command.env_remove("XDG_CACHE_HOME").env("HOME", &home), b"").succeeds();
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "{run:?}");
}

/// All paths below, sorted.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut paths = vec![folder.to_owned()];
    if !folder.is_symlink() && folder.is_dir() {
        paths.extend(entries(folder).iter().flat_map(|entry| walk(entry)));
    }
    paths
}

#[test]
fn cache_is_bounded_and_old_entries_go() {
    let situation = Situation::new(|_, _| {});
    situation.verify(&[]).succeeds();
    let folder = folder(&situation);
    let entry = of_signing_key(&situation);
    let put = |name: &str, size: u64, days: i64| {
        let file = fs::File::create(folder.join(name)).unwrap();
        file.set_len(size).unwrap();
        let day = Duration::from_secs(86_400) * days.unsigned_abs() as u32;
        file.set_modified(if days < 0 { SystemTime::now() - day } else { SystemTime::now() + day }).unwrap();
    };
    put("expired", 1, -1);
    put(".new-killed", 1, -1);
    put(".new-at-work", 1, 0);
    for number in 0..10 {
        put(&format!("large-{number}"), 15 << 20, 10 + number);
    }
    fs::remove_file(&entry).unwrap();
    situation.verify(&[]).succeeds();
    let names: Vec<_> =
        entries(&folder).into_iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(!names.contains(&"expired".to_owned()) && !names.contains(&".new-killed".to_owned()), "{names:?}");
    assert!(names.contains(&".new-at-work".to_owned()), "{names:?}");
    assert!(names.contains(&"large-9".to_owned()) && !names.contains(&"large-0".to_owned()), "{names:?}");
    let size: u64 = entries(&folder).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(size <= 64 << 20, "{size}");
    situation.verify(&["--offline"]).succeeds();
    for number in 0..300 {
        put(&format!("many-{number}"), 1, 40);
    }
    fs::remove_file(entry).unwrap();
    situation.verify(&[]).succeeds();
    assert!(entries(&folder).len() <= 256);
}

/// A document that names these addresses, from another key.
fn forged(situation: &Situation, addresses: usize) -> Vec<u8> {
    let mut signer = situation.pki.signing_key.clone();
    signer.key = KEYS.root.clone();
    let points = (0..addresses).map(|number| vec![situation.server.url(&format!("/evil{number}"))]).collect();
    let spec = CertificateSpec { distribution_points: points, ..situation.plan.host_key.clone() };
    spec.issue(Some(&signer)).unwrap().certificate.to_pem().unwrap()
}

#[test]
fn nobody_is_asked_on_the_word_of_a_document_that_does_not_hold() {
    let mut situation = Situation::new(|_, _| {});
    situation.write();
    situation.scratch.write("host.crt", forged(&situation, 60));
    let run = situation.run(&[]).refuses(1, &["its signature was not made by"]);
    assert!(!run.stderr.contains("/evil"), "{run:?}");
    assert_eq!(situation.server.asked(), 2, "the chain's addresses alone");
    // Nor on the word of certificates that no trusted root signed.
    let mut authority = situation.pki.intermediate.clone();
    authority.key = KEYS.root.clone();
    let points = vec![vec![situation.server.url("/evil")]];
    let spec = CertificateSpec { distribution_points: points, ..situation.plan.signing_key.clone() };
    situation.scratch.write("ibm.crt", spec.issue(Some(&authority)).unwrap().certificate.to_pem().unwrap());
    situation.run(&["--refresh"]).refuses(1, &["(level 0 of the chain): certificate signature failure"]);
    assert_eq!(situation.server.asked(), 2);
    // Nor is anybody asked when all that is needed was given.
    situation.write();
    situation.given = situation.pki.crls.iter().map(pem).collect();
    situation.verify(&[]).succeeds();
    assert_eq!(situation.server.asked(), 2);
}

#[test]
fn downloads_have_limits_in_total() {
    let situation = Situation::new(|plan, server| {
        plan.host_key.distribution_points = (0..60).map(|n| vec![server.url(&format!("/nothing{n}"))]).collect();
    });
    let run = situation.verify(&[]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("not asked: 32 addresses were asked already"), "{run:?}");
    assert_eq!(situation.server.asked(), 32);
    let situation = Situation::new(|plan, server| {
        plan.host_key.distribution_points = (0..60).map(|n| vec![server.url(&format!("/big{n}"))]).collect();
    });
    for path in ["/big0", "/big1", "/big2", "/big3", "/big4", "/big5"] {
        situation.server.route(path, ok(vec![b'x'; 15 << 20]));
    }
    let run = situation.verify(&[]);
    assert_eq!(run.status, 1);
    assert!(run.stderr.contains("not asked: 67108864 bytes for all downloads are used up"), "{run:?}");
    assert!(entries(&folder(&situation)).len() == 2, "the chain's CRLs alone are kept");
}

#[test]
fn silent_servers_cost_30_seconds_in_total() {
    let situation = Situation::new(|plan, server| {
        plan.host_key.distribution_points = (0..9).map(|n| vec![server.url(&format!("/silent{n}"))]).collect();
    });
    for path in
        ["/silent0", "/silent1", "/silent2", "/silent3", "/silent4", "/silent5", "/silent6", "/silent7", "/silent8"]
    {
        situation.server.route(path, Answer::Silence);
    }
    let start = Instant::now();
    let run = situation.verify(&[]);
    let took = start.elapsed();
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("not asked: the 30 seconds for all downloads are over"), "{run:?}");
    assert!(took > Duration::from_secs(25) && took < Duration::from_secs(40), "{took:?}");
}

#[test]
fn explanation_and_bundle_have_the_crls_of_the_verdict() {
    let mut situation = Situation::new(|_, _| {});
    // A CA that has nothing to do with it, and a CRL that nobody signed.
    let stranger = Situation::new(|_, _| {});
    situation.write();
    situation.scratch.write("other.crt", stranger.pki.intermediate.certificate.to_pem().unwrap());
    situation.given.push(situation.signed(|spec| spec.broken = true));
    for source in ["downloaded", "kept"] {
        let run = situation.verify(&["-C", "other.crt", "--explain"]).succeeds();
        let text = run.stdout();
        assert!(!text.contains("none of this issuer was given"), "{source}: {text}");
        for path in ["/root.crl", "/inter.crl", "/ibm.crl"] {
            assert!(text.contains(&format!("  CRL       '{}', ", situation.server.url(path))), "{source}: {text}");
        }
        assert!(text.contains("  CRL       not used: '0.crl' has a signature that does not hold"), "{source}: {text}");
        assert!(!text.contains("  CRL       '0.crl'") && !text.contains("other.crt"), "{source}: {text}");
        assert!(text.contains("  verdict   may be used\n"), "{source}: {text}");
        if source == "downloaded" {
            situation.server.route("/ibm.crl", Answer::Cut);
        }
    }
    let arguments = [
        "trust-bundle",
        "-k",
        "host.crt",
        "-C",
        "ibm.crt,inter.crt,other.crt",
        "--crl",
        "0.crl",
        "--root-ca",
        "root.crt",
    ];
    let mut command = situation.scratch.command("pvtools");
    command.args(arguments).args(["--offline", "-o", "it's"]).env("XDG_CACHE_HOME", situation.scratch.join("cache"));
    let run = Run::of(&mut command, b"").succeeds();
    let files = fs::read_dir(situation.scratch.join("it's")).unwrap().count();
    assert_eq!(files, 1 + 2 + 3 + 1, "document, certificates and CRLs of the chain, root");
    // The options are for a shell.
    let script = format!("pvverify {}", run.stdout());
    let tool = situation.scratch.link_tool("pvverify".as_ref());
    let path = format!("{}:/usr/bin:/bin", tool.parent().unwrap().display());
    let mut shell = Command::new("sh");
    crate::support::clean(&mut shell);
    let shell = shell.args(["-c", &script]).env("PATH", path).current_dir(situation.scratch.path()).output().unwrap();
    assert!(shell.status.success(), "{script}: {shell:?}");
}

#[test]
fn every_input_is_read_once() {
    let situation = Situation::new(|_, _| {});
    situation.write();
    let crls: Vec<u8> = situation.pki.crls.iter().flat_map(pem).collect();
    situation.scratch.write("all.crl", crls);
    let tool = situation.scratch.link_tool("pvtools".as_ref());
    let piped =
        "-k <(cat host.crt) -C <(cat ibm.crt) -C <(cat inter.crt) --crl <(cat all.crl) --root-ca <(cat root.crt)";
    for (words, status) in [("trust-bundle -o bundle", 0), ("pvverify --explain", 0)] {
        let mut shell = Command::new("bash");
        crate::support::clean(&mut shell);
        let script = format!("{} {words} {piped}", tool.display());
        let run = Run::of(shell.args(["-c", &script]).current_dir(situation.scratch.path()), b"");
        assert_eq!(run.status, status, "{words}: {run:?}");
        assert!(!run.stdout().contains("no certificate"), "{run:?}");
    }
}

#[test]
fn roots_of_the_environment_are_an_input() {
    let situation = Situation::new(|_, _| {});
    situation.write();
    let crls: Vec<u8> = situation.pki.crls.iter().flat_map(pem).collect();
    situation.scratch.write("all.crl", crls);
    let secrets = pvsim::image::HeaderSecrets::random().unwrap();
    let header = pvsim::image::header(std::slice::from_ref(&KEYS.host_key), &secrets, 0, 1).unwrap();
    situation.scratch.write("se.hdr", header);
    let run = |output: &str, roots: &str| {
        let mut command = situation.scratch.command("pvsecret");
        command.args(["create", "-k", "host.crt", "-C", "ibm.crt,inter.crt", "--crl", "all.crl", "--offline"]);
        command.args(["--hdr", "se.hdr", "-o", output, "meta"]).env("SSL_CERT_FILE", roots);
        Run::of(&mut command, b"")
    };
    run("request", "root.crt").succeeds();
    let before = situation.scratch.read("root.crt");
    assert_eq!(run("root.crt", "root.crt").status, 1);
    assert_eq!(situation.scratch.read("root.crt"), before);
    assert!(Command::new("mkfifo").arg(situation.scratch.join("pipe")).status().unwrap().success());
    run("other", "pipe").refuses(1, &["'pipe', which SSL_CERT_FILE names", "expected a regular file"]);
}

#[test]
fn broken_proxy_is_an_error() {
    let situation = Situation::new(|_, _| {});
    situation.write();
    for (name, value) in [("http_proxy", "garbage:://x"), ("HTTPS_PROXY", "file:///x"), ("ALL_PROXY", "ftp://secret@x")]
    {
        let run = |options: &[&str]| {
            let mut command = situation.scratch.command("pvverify");
            command.args(["-k", "host.crt", "-C", "ibm.crt,inter.crt", "--root-ca", "root.crt"]).args(options);
            Run::of(command.env(name, value), b"")
        };
        let refused = run(&[]).refuses(1, &[&format!("'{name}'"), "expected http://HOST:PORT"]);
        assert!(!refused.stderr.contains("secret"), "{refused:?}");
        // Nobody is asked for a proxy.
        assert!(!run(&["--offline"]).stderr.contains("proxy"));
    }
    assert_eq!(situation.server.asked(), 0);
}

#[test]
fn what_is_waited_for_is_said_on_a_terminal() {
    let situation = Situation::new(|_, _| {});
    situation.write();
    let tool = situation.scratch.link_tool("pvverify".as_ref());
    let line = format!("{} -k host.crt -C ibm.crt,inter.crt --root-ca root.crt", tool.display());
    // script(1) gives the command a terminal; without it, this cannot be tried.
    let mut script = Command::new("script");
    crate::support::clean(&mut script);
    script.args(["-qec", &line, "/dev/null"]).current_dir(situation.scratch.path()).stdin(Stdio::null());
    let output = script.output().expect("script(1) of util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("Downloading the CRL from {} ...", situation.server.url("/ibm.crl"))), "{text}");
}

#[test]
fn newer_crl_that_is_kept_counts_beside_one_that_was_given() {
    let mut situation = Situation::new(|_, _| {});
    situation.server.route("/ibm.crl", ok(situation.signed(|spec| spec.revoked = vec![(4, Reason::Unspecified)])));
    assert_eq!(situation.verify(&[]).status, 1);
    situation.given.push(pem(&situation.pki.crls[2]));
    situation.verify(&[]).refuses(1, &["it is revoked: since"]);
    situation.verify(&["--offline"]).refuses(1, &["it is revoked: since"]);
}
