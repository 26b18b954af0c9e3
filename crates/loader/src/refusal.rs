//! Why the ultravisor refused an image, in words.

use crate::line::Line;

/// The return code of DIAGNOSE 0x308 subcode 10 (unpack and start), which returns only when it failed.
///
/// Layout from the left: u16 command of the ultravisor, u16 reason code (rrc), u16 return code (rc) of that command,
/// u16 code of the diagnose itself.
#[derive(Debug, Clone, Copy)]
pub struct Refusal(pub u64);

/// The diagnose's code when subcode 8 set no parameters before.
const NO_PARAMETERS: u16 = 0x0902;

/// (rc, rrc, sentence); an rrc of [`ANY`] stands for all that are not listed before it.
const SENTENCES: [(u16, u16, &str); 14] = [
    (
        0x0102,
        0x1a,
        "the addresses of the pages do not match the SE header: the image is not where it belongs, or altered",
    ),
    (0x0102, 0x1b, "the pages do not match the SE header: the image is damaged or altered"),
    (0x0102, 0x1c, "the tweaks of the pages do not match the SE header: the image is damaged or altered"),
    (0x0102, 0x1d, "the number of pages does not match the SE header: the image is damaged or altered"),
    (0x0104, 0x01, "this machine does not know the version of the SE header"),
    (0x0106, 0x30, "this machine does not know a plaintext control flag of the SE header"),
    (0x0108, 0x05, "no key slot fits this machine: create the image with its host key document"),
    (0x0108, 0x0b, "the customer key in the SE header is not valid"),
    (0x0108, 0x34, "the image may not use the backup host key"),
    (0x0109, ANY, "this machine does not know a secret control flag of the SE header"),
    (0x010a, 0x31, "the size of the SE header is wrong"),
    (0x010a, 0x39, "the size of the encrypted part of the SE header is wrong"),
    (0x010a, 0x40, "the SE header has no key slot"),
    (0x0000, ANY, "the hypervisor did not say why"),
];

const ANY: u16 = 0xffff;

impl Refusal {
    fn command(self) -> u16 {
        (self.0 >> 48) as u16
    }

    fn reason(self) -> u16 {
        (self.0 >> 32) as u16
    }

    fn return_code(self) -> u16 {
        (self.0 >> 16) as u16
    }

    fn diagnose(self) -> u16 {
        self.0 as u16
    }

    fn sentence(self) -> &'static str {
        if self.diagnose() == NO_PARAMETERS {
            return "the hypervisor lost the image description";
        }
        for (rc, rrc, sentence) in SENTENCES {
            if rc == self.return_code() && (rrc == ANY || rrc == self.reason()) {
                return sentence;
            }
        }
        "the ultravisor refused the image"
    }

    /// The line for the console: what is wrong, which step found it, and the codes for who looks them up.
    #[must_use]
    pub fn line(self) -> Line {
        let mut line = Line::new("Secure Execution: ");
        line.push(self.sentence());
        line.push(match self.command() {
            2 => " (set header, rc ",
            3 => " (unpack, rc ",
            4 => " (verify, rc ",
            _ => " (rc ",
        });
        line.push_hex(self.return_code().into(), 4);
        line.push(", rrc ");
        line.push_hex(self.reason().into(), 4);
        line.push(", diagnose ");
        line.push_hex(self.diagnose().into(), 4);
        line.push(").");
        line
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::ebcdic;
    use std::{collections::HashSet, string::String, vec::Vec};

    fn told(code: u64) -> String {
        String::from_utf8(Refusal(code).line().bytes().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn each_reason_has_its_own_sentence_with_its_codes() {
        let known = [
            (4, 0x0102, 0x1a, "addresses of the pages"),
            (4, 0x0102, 0x1b, "the pages do not match"),
            (4, 0x0102, 0x1c, "tweaks"),
            (4, 0x0102, 0x1d, "number of pages"),
            (2, 0x0104, 0x01, "version"),
            (2, 0x0106, 0x30, "plaintext control flag"),
            (2, 0x0108, 0x05, "host key document"),
            (2, 0x0108, 0x0b, "customer key"),
            (2, 0x0108, 0x34, "backup host key"),
            (2, 0x0109, 0x07, "secret control flag"),
            (2, 0x010a, 0x31, "size of the SE header"),
            (2, 0x010a, 0x39, "encrypted part"),
            (2, 0x010a, 0x40, "no key slot"),
            (0, 0, 0, "did not say why"),
        ];
        let mut sentences = HashSet::new();
        for (command, rc, rrc, words) in known {
            let text = told(command << 48 | rrc << 32 | rc << 16 | 0x0a02);
            assert!(text.contains(words), "{text}");
            assert!(text.contains(&std::format!("rc {rc:#06x}, rrc {rrc:#06x}, diagnose 0x0a02).")), "{text}");
            assert!(sentences.insert(Refusal(rrc << 32 | rc << 16 | 0x0a02).sentence()));
        }
    }

    #[test]
    fn unknown_reasons_are_told_by_number() {
        let refused = "Secure Execution: the ultravisor refused the image";
        assert_eq!(
            told(0x0002_0099_0108_0a02),
            std::format!("{refused} (set header, rc 0x0108, rrc 0x0099, diagnose 0x0a02).")
        );
        assert_eq!(told(0x0009_001a_0777_0a02), std::format!("{refused} (rc 0x0777, rrc 0x001a, diagnose 0x0a02)."));
        assert!(told(0x0902).contains("lost the image description"));
    }

    #[test]
    fn every_sentence_fits_a_line_and_the_line_mode_console() {
        for (rc, rrc, sentence) in SENTENCES {
            let text = told(4 << 48 | u64::from(rrc) << 32 | u64::from(rc) << 16 | 0x0a02);
            assert!(text.contains(sentence) && text.ends_with("diagnose 0x0a02)."), "{text}");
            assert!(text.bytes().all(|byte| byte == b' ' || ebcdic::from_ascii(byte) != 0x40), "{text}");
        }
    }
}
