//! What the creator of an image writes at the end of the loaders: layouts and checks.

/// An address and a size in bytes, both u64, as a component of the image is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Place {
    /// Absolute address of the component's first byte.
    pub address: u64,
    /// Size in bytes, without the padding to whole pages; 0 for a component that the image does not have.
    pub size: u64,
}

/// The last 24 bytes of stage3a. All numbers are big-endian u64, as the machine is.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Stage3a {
    /// Offset 0: place of the SE header, counted from the address of these arguments.
    pub header_offset: u64,
    /// Offset 8: size of the SE header in bytes.
    pub header_size: u64,
    /// Offset 16: place of the IPIB, counted from the address of these arguments.
    pub ipib_offset: u64,
}

/// Size of the arguments of stage3a.
pub const STAGE3A_SIZE: usize = size_of::<Stage3a>();

/// The last 64 bytes of stage3b. All numbers are big-endian u64, as the machine is.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Stage3b {
    /// Offset 0: the kernel, as the file had it.
    pub kernel: Place,
    /// Offset 16: the command line with its NUL.
    pub command_line: Place,
    /// Offset 32: the ramdisk.
    pub ramdisk: Place,
    /// Offset 48: the PSW that starts the kernel: mask, then address.
    pub psw: [u64; 2],
}

/// Size of the arguments of stage3b.
pub const STAGE3B_SIZE: usize = size_of::<Stage3b>();

/// Address at which a kernel is linked to run. Its image holds nothing of use below: 64 KiB for boot code of other
/// days.
pub const KERNEL_START: u64 = 0x10000;

/// Address that a kernel takes its command line from.
pub const COMMAND_LINE: u64 = 0x10480;

/// Address of a big-endian u64: the size in bytes that the kernel's command line may have, NUL included; 0 in old
/// kernels.
pub const COMMAND_LINE_LIMIT: u64 = 0x10430;

/// The limit of kernels that do not say one.
const OLD_COMMAND_LINE_LIMIT: u64 = 896;

impl Stage3b {
    /// What keeps these components from being put in place, if anything does.
    ///
    /// The kernel is moved down, to end at the address that is its size: what lies below that end would be lost.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let in_the_way = |place: &Place| place.size != 0 && place.address < self.kernel.size;
        if self.kernel.size <= KERNEL_START {
            Some("the kernel is too small, it has nothing behind its first 64 KiB")
        } else if in_the_way(&self.command_line) || in_the_way(&self.ramdisk) {
            Some("the kernel would overwrite the ramdisk or the command line")
        } else {
            None
        }
    }
}

/// What is wrong with a command line of `size` bytes, if anything is: `limit` is what the kernel says at
/// [`COMMAND_LINE_LIMIT`], `last` the last byte.
#[must_use]
pub fn command_line_fault(size: u64, limit: u64, last: u8) -> Option<&'static str> {
    let limit = if limit == 0 { OLD_COMMAND_LINE_LIMIT } else { limit };
    if size > limit {
        Some("the command line is longer than the kernel allows")
    } else if last != 0 {
        Some("the command line does not end with a NUL byte")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FITTING: Stage3b = Stage3b {
        kernel: Place { address: 0x15000, size: 0x7a_0000 },
        command_line: Place { address: 0x90_0000, size: 20 },
        ramdisk: Place { address: 0x80_0000, size: 0x8_0000 },
        psw: [0x1_8000_0000, 0x10000],
    };

    #[test]
    fn layouts() {
        assert_eq!((STAGE3A_SIZE, STAGE3B_SIZE), (24, 64));
        assert_eq!(core::mem::offset_of!(Stage3b, psw), 48);
    }

    #[test]
    fn a_kernel_needs_more_than_64_kib() {
        assert_eq!(FITTING.fault(), None);
        for (size, fits) in [(0, false), (0xffff, false), (0x10000, false), (0x10001, true)] {
            let arguments = Stage3b { kernel: Place { size, ..FITTING.kernel }, ..FITTING };
            assert_eq!(arguments.fault().is_none(), fits, "{size:#x}");
        }
    }

    #[test]
    fn nothing_may_lie_where_the_kernel_goes() {
        let low = Place { address: FITTING.kernel.size - 1, size: 1 };
        assert!(Stage3b { ramdisk: low, ..FITTING }.fault().is_some());
        assert!(Stage3b { command_line: low, ..FITTING }.fault().is_some());
        let end = Place { address: FITTING.kernel.size, size: 1 };
        assert_eq!(Stage3b { ramdisk: end, command_line: end, ..FITTING }.fault(), None);
        let none = Place { address: 0, size: 0 };
        assert_eq!(Stage3b { ramdisk: none, command_line: none, ..FITTING }.fault(), None);
    }

    #[test]
    fn command_lines() {
        assert_eq!(command_line_fault(4096, 4096, 0), None);
        assert!(command_line_fault(4097, 4096, 0).is_some());
        assert_eq!(command_line_fault(896, 0, 0), None);
        assert!(command_line_fault(897, 0, 0).is_some());
        assert!(command_line_fault(5, 4096, b'x').is_some_and(|text| text.contains("NUL")));
    }
}
