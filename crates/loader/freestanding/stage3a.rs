//! stage3a: runs in normal mode, right after the image was loaded, and asks the ultravisor to make a secure guest of
//! it. Comes back, with a sentence on the console, only if that is refused.
//!
//! It is loaded at 0x10000 and has to look like a kernel there (see the linker script). Its last 24 bytes are its
//! arguments.

#![no_std]
#![no_main]

mod machine;

use core::arch::{asm, global_asm};
use machine::{REFUSED, catch_program_checks, stop};
use seloader::arguments::Stage3a;
use seloader::line::Line;
use seloader::refusal::Refusal;

// A program that loads kernels enters at 0x10000, if it finds "S390EP" at 0x10008; an IPL, by the short PSW, at
// 0x11000. Either may do so as if on a machine of 32 bits: so SIGNAL PROCESSOR "set architecture" first (which is
// refused, without harm, if nothing is to be changed), then 64-bit addresses. Until then only instructions of old.
global_asm!(
    ".section .entry_kernel,\"ax\"",
    "    j start",
    ".org 8",
    ".ascii \"S390EP\"",
    ".byte 0,1",
    ".section .entry_ipl,\"ax\"",
    ".globl start",
    "start:",
    "    slr %r0,%r0",
    "    lhi %r1,1",
    "    sigp %r1,%r0,0x12",
    "    sam64",
    "    llill %r15,{stack}",
    "    jg main",
    ".globl on_program_check",
    "on_program_check:",
    "    llill %r15,{stack}",
    "    jg program_check",
    // Written by whoever creates an image.
    ".section .arguments,\"a\"",
    ".globl arguments",
    "arguments:",
    "    .quad 0,0,0",
    // The stack grows down from 0xa000; a caller has to leave 160 bytes for the registers of the callee.
    stack = const 0xa000 - 160,
);

// SAFETY: the assembly above defines it, 24 bytes long, which is the size of the type.
unsafe extern "C" {
    /// The last 24 bytes of the program.
    static arguments: Stage3a;
}

/// Address of the disabled wait: Secure Execution is not available here.
const NOT_AVAILABLE: u64 = 0x4607;

/// Facility 161: the ultravisor unpacks images.
const UNPACK_FACILITY: usize = 161;

/// DIAGNOSE 0x308 subcode 8: takes the IPIB that describes the image.
const SET_PARAMETERS: u64 = 8;
/// DIAGNOSE 0x308 subcode 10: makes the image a secure guest and starts it.
const UNPACK_AND_START: u64 = 10;
/// Return code of DIAGNOSE 0x308: done.
const DONE: u64 = 1;

// SAFETY: the name is the one that the assembly jumps to, and no other symbol has it.
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    catch_program_checks();
    // SAFETY: the linker script puts them at the end of the program; volatile, as they were written after the build.
    let given = unsafe { (&raw const arguments).read_volatile() };
    let here = (&raw const arguments).addr() as u64;
    let header = here.wrapping_add(given.header_offset);
    let ipib = here.wrapping_add(given.ipib_offset);
    // SAFETY: the creator of the image put the IPIB there, behind all else; offset 0x78 are address and size of the
    // header. Memory that is not there gives a program check, which says so.
    unsafe { ((ipib + 0x78) as *mut [u64; 2]).write_unaligned([header, given.header_size]) };

    if !has_facility(UNPACK_FACILITY) {
        let text = "Secure Execution: not available here (facility 161 is missing), and the image runs only with it.";
        stop(&Line::new(text), NOT_AVAILABLE)
    }
    let code = diagnose_308(SET_PARAMETERS, ipib);
    if code != DONE {
        let mut line = Line::new("Secure Execution: the hypervisor does not take the image description (diagnose ");
        line.push_hex(code, 4);
        line.push(").");
        stop(&line, REFUSED)
    }
    stop(&Refusal(diagnose_308(UNPACK_AND_START, ipib)).line(), REFUSED)
}

/// Whether the machine has the facility with this number, at most 191.
fn has_facility(number: usize) -> bool {
    let mut list = [0_u8; 24];
    // SAFETY: STORE FACILITY LIST EXTENDED writes at most as many doublewords as register 0 says, plus one.
    unsafe {
        asm!("stfle 0({list})", list = in(reg_addr) &raw mut list, inout("r0") list.len() as u64 / 8 - 1 => _);
    }
    list.get(number / 8).is_some_and(|byte| byte & 0x80 >> (number % 8) != 0)
}

/// DIAGNOSE 0x308: the return code of `subcode`.
fn diagnose_308(subcode: u64, address: u64) -> u64 {
    let code;
    // SAFETY: the even register of the pair holds an address, which the subcodes used here only read from; the odd
    // one the return code.
    unsafe {
        asm!("diag %r2,%r4,0x308", in("r2") address, inout("r3") 0_u64 => code, in("r4") subcode);
    }
    code
}
