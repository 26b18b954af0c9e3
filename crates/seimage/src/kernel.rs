//! Is this a kernel that the loader can start?

use crate::Error;

/// The loader drops the first 64 KiB. The entry is behind them, so a kernel has more: of one that ends here, nothing
/// is left to start, and the loader stops.
pub const DROPPED: u64 = 0x10000;
/// So many bytes of a kernel say all that is asked.
pub const KERNEL_HEAD: usize = 0x10438;
/// Behind the entry of every s390x kernel.
const MAGIC: (usize, &[u8]) = (0x10008, b"S390EP");
/// The length of command lines that the kernel takes, 8 bytes, big-endian; 0 in kernels that know no such field.
const COMMAND_LINE_LIMIT: usize = 0x10430;
const OLD_LIMIT: u64 = 896;

/// Facts that a kernel states about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFacts {
    /// Bytes of the longest command line, with its final NUL.
    pub command_line_limit: u64,
}

impl KernelFacts {
    /// Reads them from the first [`KERNEL_HEAD`] bytes of a kernel, or from all there are.
    pub fn of(head: &[u8]) -> Self {
        let field = head.get(COMMAND_LINE_LIMIT..).and_then(<[u8]>::first_chunk);
        let limit = field.map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Self { command_line_limit: if limit == 0 { OLD_LIMIT } else { limit } }
    }

    /// Whether a command line of `size` bytes, its final NUL included, fits.
    ///
    /// # Errors
    /// [`Error::CommandLine`].
    pub fn check_command_line(&self, size: u64) -> Result<(), Error> {
        let limit = self.command_line_limit;
        if size > limit { Err(Error::CommandLine { size, limit }) } else { Ok(()) }
    }
}

/// Looks at the first [`KERNEL_HEAD`] bytes of a kernel, or at all there are.
///
/// # Errors
/// [`Error::Kernel`].
pub fn check_kernel(head: &[u8]) -> Result<KernelFacts, Error> {
    let (at, magic) = MAGIC;
    if head.starts_with(b"\x7fELF") {
        return Err(Error::Kernel("is an ELF file: expected the raw image ('image' or 'bzImage' of an s390x build)"));
    }
    if head.is_empty() {
        return Err(Error::Kernel("is empty"));
    }
    if head.len() as u64 <= DROPPED {
        return Err(Error::Kernel(
            "has 64 KiB or less: the loader drops the first 64 KiB, so nothing is left to start",
        ));
    }
    if !head.get(at..).is_some_and(|rest| rest.starts_with(magic)) {
        return Err(Error::Kernel("is not for s390x: expected 'S390EP' at offset 0x10008"));
    }
    if head.len() < KERNEL_HEAD {
        return Err(Error::Kernel("ends before the field for the size of its command line, at offset 0x10430"));
    }
    Ok(KernelFacts::of(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Vec<u8> {
        let mut kernel = vec![0x55; KERNEL_HEAD];
        kernel[0x10008..0x1000e].copy_from_slice(b"S390EP");
        kernel[0x10430..].copy_from_slice(&4096_u64.to_be_bytes());
        kernel
    }

    #[test]
    fn kernels_are_told_from_other_files() {
        assert_eq!(check_kernel(&kernel()).unwrap().command_line_limit, 4096);
        let mut old = kernel();
        old[0x10430..].fill(0);
        let facts = check_kernel(&old).unwrap();
        assert!(facts.check_command_line(896).is_ok() && facts.check_command_line(897).is_err());
        let mut elf = kernel();
        elf[..4].copy_from_slice(b"\x7fELF");
        let mut other = kernel();
        other[0x1000d] = b'Q';
        let rows: [(&[u8], &str); 6] = [
            (&elf, "ELF"),
            (&other, "not for s390x"),
            (&[], "empty"),
            (&[0; 0xffff], "64 KiB"),
            (&kernel()[..0x10000], "64 KiB"),
            (&kernel()[..KERNEL_HEAD - 1], "0x10430"),
        ];
        for (head, part) in rows {
            let error = check_kernel(head).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
