//! The machine: host, guest or workstation.

use super::Finding;
use crate::shared::system::System;
use crate::tools::pvinfo::Topic;
use std::fs;
use std::path::{Path, PathBuf};
use uvdevice::UvInfo;
use uvtypes::text::shown;

/// Where the distributions of our users keep the root certificates that OpenSSL trusts.
const ROOTS: [&str; 3] = ["etc/ssl/certs", "etc/pki/tls/certs", "var/lib/ca-certificates/openssl"];

pub(super) fn findings(system: &System) -> Vec<Finding> {
    let root = system.root.as_path();
    let mut findings = Vec::new();
    let bit = |name: &str| text(root, &format!("sys/firmware/uv/{name}")).is_some_and(|text| text == "1");
    if bit("prot_virt_guest") {
        findings.push(Finding::good("role", "a Secure Execution guest"));
        guest(root, &mut findings);
    } else if bit("prot_virt_host") {
        findings.push(Finding::good("role", "a host of Secure Execution guests"));
        host(root, &mut findings);
    } else if root.join("sys/firmware/uv").is_dir() {
        let command_line = text(root, "proc/cmdline").unwrap_or_default();
        let next = if command_line.split_whitespace().any(|word| word.starts_with("prot_virt=")) {
            "the kernel parameter prot_virt is set: look for 'prot_virt' in the kernel's log"
        } else {
            "to be a host, add the kernel parameter prot_virt=1 and boot; to be a guest, start from an SE image"
        };
        findings.push(Finding::missing("role", "an IBM Z with an ultravisor, neither host nor guest", next));
    } else {
        findings.push(Finding::good("role", "a workstation: /sys/firmware/uv is not there"));
    }
    findings.push(root_certificates(root));
    findings.push(cache(system));
    findings
}

fn guest(root: &Path, findings: &mut Vec<Finding>) {
    let device = root.join("dev/uv");
    findings.push(match fs::OpenOptions::new().read(true).write(true).open(&device) {
        Ok(_) => Finding::good("uvdevice", "/dev/uv can be opened"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::missing("uvdevice", "/dev/uv is not there", "modprobe uvdevice")
        }
        Err(error) => Finding::missing("uvdevice", format!("/dev/uv cannot be opened: {error}"), "run as root"),
    });
    findings.extend(ultravisor(root));
    let bus = root.join("sys/bus/ap");
    if !bus.is_dir() {
        findings.push(Finding::good("AP bus", "there is none: no Crypto Express queues"));
        return;
    }
    let features = text(root, "sys/bus/ap/features").unwrap_or_default();
    if features.split_whitespace().any(|word| word == "APSB") {
        findings.push(Finding::good("AP bus", format!("features {}", shown(&features))));
    } else {
        findings.push(Finding::missing(
            "AP bus",
            format!("features '{}', without APSB", shown(&features)),
            "queues cannot be bound: the host must offer the facility, and the kernel of the guest know it",
        ));
    }
    let queues = names(&bus.join("devices"), |name| name.contains('.'));
    findings.push(Finding::good("queues", if queues.is_empty() { "none".to_owned() } else { queues.join(", ") }));
}

/// What this ultravisor can do, in the words of 'pvinfo'.
fn ultravisor(root: &Path) -> Vec<Finding> {
    let Some(query) = UvInfo::at_sysfs(&root.join("sys")) else { return Vec::new() };
    let finding = |(check, topic): (&str, Topic)| match topic.lines(&query) {
        Ok(Some(lines)) => Finding::good(check, lines.join(", ")),
        Ok(None) if topic == Topic::FeatureIndications => Finding::good(check, "none"),
        Ok(None) => Finding::missing(
            check,
            "/sys/firmware/uv/query/facilities is not there",
            "use a newer kernel: which calls the ultravisor has is not known",
        ),
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            Finding::missing(check, error, "use another kernel: what the ultravisor can do is not known")
        }
    };
    [("facilities", Topic::Facilities), ("features", Topic::FeatureIndications)].map(finding).into()
}

fn host(root: &Path, findings: &mut Vec<Finding>) {
    findings.extend(ultravisor(root));
    if !root.join("sys/bus/ap").is_dir() {
        findings.push(Finding::good("AP bus", "there is none: no Crypto Express queues for guests"));
        return;
    }
    let matrix = root.join("sys/devices/vfio_ap/matrix");
    if matrix.is_dir() {
        findings.push(Finding::good("vfio_ap", "the module is loaded"));
    } else {
        let next = "to pass queues through to guests: modprobe vfio_ap";
        findings.push(Finding::missing("vfio_ap", "/sys/devices/vfio_ap/matrix is not there", next));
    }
    let passed = names(&root.join("sys/bus/ap/drivers/vfio_ap"), |name| name.contains('.'));
    if passed.is_empty() {
        let next = "take queues from the host with chzdev or apmask and aqmask, then define a mediated device";
        findings.push(Finding::missing("vfio queues", "no queue is bound to vfio_ap", next));
    } else {
        findings.push(Finding::good("vfio queues", passed.join(", ")));
    }
}

fn root_certificates(root: &Path) -> Finding {
    let place = ROOTS.iter().find(|place| !names(&root.join(place), |_| true).is_empty());
    let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let given = given.filter(|path| root.join(path.strip_prefix("/").unwrap_or(path)).is_file());
    match (place, given) {
        (_, Some(path)) => {
            Finding::good("root certificates", format!("SSL_CERT_FILE: {}", shown(&path.to_string_lossy())))
        }
        (Some(place), None) => Finding::good("root certificates", format!("/{place}")),
        (None, None) => Finding::missing(
            "root certificates",
            "none of the usual folders is there",
            "install the package ca-certificates, or give '--root-ca'",
        ),
    }
}

fn cache(system: &System) -> Finding {
    let Some(cache) = &system.cache else {
        return Finding::missing("CRL cache", "there is no folder for it", "set HOME or XDG_CACHE_HOME");
    };
    let folder = cache.join("crl");
    let shown = shown(&folder.to_string_lossy());
    match fs::read_dir(&folder) {
        Ok(entries) => Finding::good("CRL cache", format!("{} lists in {shown}", entries.count())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::good("CRL cache", format!("empty: {shown} is made when a list is downloaded"))
        }
        Err(error) => Finding::missing("CRL cache", format!("{shown}: {error}"), "look at the rights of the folder"),
    }
}

/// A short file without the white space around it.
fn text(root: &Path, path: &str) -> Option<String> {
    Some(fs::read_to_string(root.join(path)).ok()?.trim().to_owned())
}

fn names(folder: &Path, accept: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| shown(&entry.file_name().to_string_lossy()));
    let mut names: Vec<_> = names.filter(|name| accept(name)).collect();
    names.sort();
    names
}
