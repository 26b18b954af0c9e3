//! The order in which sysfs lists the names of a folder: by a hash of each.
//!
//! Source: Linux `fs/kernfs/dir.c` (`kernfs_name_hash`) with the name hash of `include/linux/stringhash.h`, in 64 bits.

/// The hash of a name in a folder of sysfs.
pub(crate) fn hash(name: &str) -> u32 {
    let step = |hash: u64, byte: u8| {
        let byte = u64::from(byte);
        hash.wrapping_add(byte << 4).wrapping_add(byte >> 4).wrapping_mul(11)
    };
    let mixed = name.bytes().fold(0, step).wrapping_mul(0x61c8_8646_80b5_83eb);
    // The lowest and the highest values have a meaning of their own in the kernel.
    match (mixed >> 32) as u32 & 0x7fff_ffff {
        low @ 0..=1 => low + 2,
        0x7fff_ffff => 0x7fff_fffe,
        hash => hash,
    }
}

/// Puts names into the order of a listing.
pub(super) fn sort(names: &mut [String]) {
    names.sort_by_cached_key(|name| (hash(name), name.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen on a running Linux 6.18.
    #[test]
    fn hashes_are_those_of_the_kernel() {
        let rows = [
            ("card00", 0x2c29_51f2),
            ("card03", 0x59be_435c),
            ("card0f", 0x7b7b_9a73),
            ("card28", 0x73fa_c011),
            ("card29", 0x2dd7_1089),
            ("card2a", 0x531c_f274),
            ("28.0014", 0x60ce_13d0),
            ("28.0015", 0x1aaa_6448),
            ("29.0014", 0x4cc2_9b23),
        ];
        for (name, expected) in rows {
            assert_eq!(hash(name), expected, "{name}");
        }
    }

    #[test]
    fn listings_have_the_order_of_the_kernel() {
        let rows = [("card", "16 2b 30 20 10 00 29 17 2a 03 28 08 0f"), ("28.00", "15 13 11 16 14 12 10")];
        for (prefix, expected) in rows {
            let expected: Vec<_> = expected.split(' ').map(|end| format!("{prefix}{end}")).collect();
            let mut names = expected.clone();
            names.sort_unstable();
            assert_ne!(names, expected);
            sort(&mut names);
            assert_eq!(names, expected);
        }
    }
}
