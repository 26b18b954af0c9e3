//! stage3b: the first program that runs in the secure guest, started by the PSW in the SE header. It puts kernel,
//! command line and ramdisk where a kernel has them, and starts the kernel.
//!
//! It is linked for 0xa000, below all kernels, and moves itself there from wherever it is started. Its last 64 bytes
//! are its arguments: like all that it works with, they were checked by the ultravisor, so they are as the creator of
//! the image wrote them.

#![no_std]
#![no_main]

mod machine;

use core::arch::{asm, global_asm};
use machine::{REFUSED, catch_program_checks, load_psw, stop};
use seloader::arguments::{COMMAND_LINE, COMMAND_LINE_LIMIT, KERNEL_START, Place, Stage3b, command_line_fault};
use seloader::line::Line;

// Up to the branch it runs anywhere: all addresses are relative. At home it begins anew, and finds itself there.
global_asm!(
    ".section .entry,\"ax\"",
    ".globl start",
    "start:",
    "    larl %r4,start",
    "    llill %r2,{home}",
    "    cgr %r2,%r4",
    "    je 1f",
    "    larl %r5,program_end",
    "    sgr %r5,%r4",
    "    lgr %r3,%r5",
    "    lgr %r1,%r2",
    "0:  mvcle %r2,%r4,0",
    "    jo 0b",
    "    br %r1",
    "1:  llill %r15,{stack}",
    "    jg main",
    ".globl on_program_check",
    "on_program_check:",
    "    llill %r15,{stack}",
    "    jg program_check",
    // Written by whoever creates an image.
    ".section .arguments,\"a\"",
    ".globl arguments",
    "arguments:",
    "    .quad 0,0,0,0,0,0,0,0",
    home = const 0xa000,
    // The stack grows down from 0x10000; a caller has to leave 160 bytes for the registers of the callee.
    stack = const 0x10000 - 160,
);

// SAFETY: the assembly above defines it, 64 bytes long, which is the size of the type.
unsafe extern "C" {
    /// The last 64 bytes of the program.
    static arguments: Stage3b;
}

/// Where a kernel takes the place of its ramdisk from: u64 address, u64 size.
const RAMDISK: *mut Place = 0x10408 as *mut Place;

// SAFETY: the name is the one that the assembly jumps to, and no other symbol has it.
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    catch_program_checks();
    // SAFETY: the linker script puts them at the end of the program; volatile, as they were written after the build.
    let Stage3b { kernel, command_line, ramdisk, psw } = unsafe {
        let given = (&raw const arguments).read_volatile();
        if let Some(text) = given.fault() {
            refuse(text)
        }
        given
    };
    // SAFETY: from 0x10000 to the end of the moved kernel lies nothing that is needed: this program and its stack are
    // below, `fault` has found the other components behind. A kernel has a command line and a ramdisk field there.
    unsafe {
        move_down(KERNEL_START, kernel.address + KERNEL_START, kernel.size - KERNEL_START);
        if command_line.size != 0 {
            let limit = (COMMAND_LINE_LIMIT as *const u64).read_volatile();
            let last = ((command_line.address + command_line.size - 1) as *const u8).read_volatile();
            if let Some(text) = command_line_fault(command_line.size, limit, last) {
                refuse(text)
            }
            move_down(COMMAND_LINE, command_line.address, command_line.size);
        }
        RAMDISK.write_volatile(ramdisk);
    }
    load_psw(psw)
}

/// Says what is wrong with the image and stops.
fn refuse(text: &str) -> ! {
    let mut line = Line::new("Secure Execution: ");
    line.push(text);
    line.push(".");
    stop(&line, REFUSED)
}

/// Moves memory, from left to right: so `to` has to be below `from`, if they overlap.
///
/// # Safety
/// `size` bytes from `from` on can be read, and nothing that is still needed is at `to`.
unsafe fn move_down(to: u64, from: u64, size: u64) {
    // SAFETY: as the caller promises. MOVE LONG EXTENDED takes pairs of address and length; with condition code 3 the
    // CPU has moved a part and wants to be asked again.
    unsafe {
        asm!(
            "2:  mvcle %r2,%r4,0",
            "    jo 2b",
            inout("r2") to => _,
            inout("r3") size => _,
            inout("r4") from => _,
            inout("r5") size => _,
        );
    }
}
