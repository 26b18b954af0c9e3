//! What both programs need of the bare machine: text on the consoles, an end, and an answer to program checks.
//!
//! Both run alone: one CPU, no address translation, no other interruption than those waited for here. Memory below
//! 0x10000 is theirs; of it they use the prefix area (0 to 0x1fff), a page for requests, and a stack.

use core::arch::asm;
use core::panic::PanicInfo;
use core::ptr;
use seloader::line::Line;
use seloader::sccb::{self, Sccb};

/// The page for requests to the firmware.
const SCCB: usize = 0x2000;

/// In the prefix area: code of the last external interruption, u16.
const EXTERNAL_CODE: *const u16 = 0x86 as *const u16;
/// In the prefix area: code of the last program check, u16.
const PROGRAM_CODE: *const u16 = 0x8e as *const u16;
/// In the prefix area: the PSW of the last program check.
const PROGRAM_OLD_PSW: *const [u64; 2] = 0x150 as *const [u64; 2];
/// In the prefix area: the PSW that an external interruption loads.
const EXTERNAL_NEW_PSW: *mut [u64; 2] = 0x1b0 as *mut [u64; 2];
/// In the prefix area: the PSW that a program check loads.
const PROGRAM_NEW_PSW: *mut [u64; 2] = 0x1d0 as *mut [u64; 2];

/// PSW mask: 64-bit addresses, everything disabled.
pub const PSW_MASK: u64 = 0x0000_0001_8000_0000;
/// PSW mask: the CPU waits.
const PSW_WAIT: u64 = 0x0002_0000_0000_0000;
/// PSW mask: external interruptions are taken.
const PSW_EXTERNAL: u64 = 0x0100_0000_0000_0000;
/// Control register 0: service signals are taken, and no other external interruption.
const SERVICE_SIGNALS: u64 = 0x200;
/// Code of an external interruption: a service signal.
const SERVICE_SIGNAL: u16 = 0x2401;

/// Address of the disabled wait: the image was refused.
pub const REFUSED: u64 = 0x4608;

// SAFETY: it is a label in the assembly of both programs, of which only the address is taken; nobody calls it.
unsafe extern "C" {
    /// Where a program check goes on (in the program's assembly): a fresh stack, then [`program_check`].
    fn on_program_check();
}

/// Lets a program check say so, instead of an endless loop of them.
pub fn catch_program_checks() {
    // SAFETY: the prefix area is ours and the field is aligned; nothing in Rust lives there.
    unsafe { PROGRAM_NEW_PSW.write_volatile([PSW_MASK, on_program_check as usize as u64]) }
}

// SAFETY: the name is the one that the assembly jumps to, and no other symbol has it.
#[unsafe(no_mangle)]
extern "C" fn program_check() -> ! {
    // SAFETY: as above. A program check from here on ends in a wait.
    let (code, psw) = unsafe {
        PROGRAM_NEW_PSW.write_volatile([PSW_MASK | PSW_WAIT, REFUSED]);
        (PROGRAM_CODE.read_volatile(), PROGRAM_OLD_PSW.read_volatile())
    };
    let mut line = Line::new("Secure Execution: the boot loader failed with program check ");
    line.push_hex(code.into(), 4);
    line.push(" before address ");
    line.push_hex(psw[1], 16);
    line.push(".");
    stop(&line, REFUSED)
}

/// Writes `line` to both consoles and stops in a disabled wait, whose `address` tells a program the reason.
pub fn stop(line: &Line, address: u64) -> ! {
    // SAFETY: the page is in memory that is ours, no other reference to it exists, and any bytes are a `Sccb`.
    let page = unsafe { &mut *ptr::with_exposed_provenance_mut::<Sccb>(SCCB) };
    sccb::set_events(page);
    request(sccb::WRITE_EVENT_MASK, page);
    // Firmware without one of the consoles refuses the text for it, which changes nothing for the other.
    sccb::operating_system_message(page, line);
    request(sccb::WRITE_EVENT_DATA, page);
    sccb::ascii_console(page, line);
    request(sccb::WRITE_EVENT_DATA, page);
    load_psw([PSW_MASK | PSW_WAIT, address])
}

/// Sends a request to the firmware and waits until it is answered.
fn request(command: u32, page: &mut Sccb) {
    let address = ptr::from_mut(page).expose_provenance();
    loop {
        let condition: u64;
        // SAFETY: SERVICE CALL (0xb220) takes the command and the absolute address of a request below 2 GiB; the
        // firmware writes into that page only, which the compiler takes as changed by any `asm!` without `nomem`.
        unsafe {
            asm!(
                ".insn rre,0xb2200000,{command},{address}",
                "ipm {condition}",
                "srl {condition},28",
                command = in(reg) command,
                address = in(reg) address,
                condition = out(reg) condition,
            );
        }
        match condition & 3 {
            0 => break,
            // An earlier request of whoever loaded us is still being worked on.
            2 => {}
            // There is no firmware to ask.
            _ => return,
        }
    }
    // A late service signal of an earlier request may come first: then our response is not there yet.
    loop {
        wait_for_service_signal();
        // SAFETY: the byte is in the page; volatile, as the firmware has written it.
        let response = unsafe { page.as_ptr().add(sccb::RESPONSE).cast::<u16>().read_volatile() };
        if response != 0 {
            return;
        }
    }
}

/// Waits with the CPU stopped until a service signal has come.
fn wait_for_service_signal() {
    let mut wait = [PSW_MASK | PSW_WAIT | PSW_EXTERNAL, 0];
    // SAFETY: the interruption loads the external-new PSW: no register is changed, and its address, like that of the
    // waiting PSW, is the end of this `asm!`. The prefix area is ours. Nobody needs control register 0 as it was.
    unsafe {
        EXTERNAL_NEW_PSW.write_volatile([PSW_MASK, 0]);
        loop {
            asm!(
                "lctlg %c0,%c0,0({cr0})",
                "larl {next},2f",
                "stg {next},0x1b8",
                "stg {next},8({wait})",
                "lpswe 0({wait})",
                "2:",
                cr0 = in(reg_addr) &raw const SERVICE_SIGNALS_WORD,
                wait = in(reg_addr) &raw mut wait,
                next = out(reg) _,
            );
            if EXTERNAL_CODE.read_volatile() == SERVICE_SIGNAL {
                return;
            }
        }
    }
}

/// [`SERVICE_SIGNALS`] in memory, where the instruction that loads a control register takes it from.
static SERVICE_SIGNALS_WORD: u64 = SERVICE_SIGNALS;

/// Goes on at the PSW's address in the PSW's mode.
pub fn load_psw(psw: [u64; 2]) -> ! {
    // SAFETY: does not come back, so nothing here can be disturbed; the callers say why the target is right.
    unsafe { asm!("lpswe 0({psw})", psw = in(reg_addr) &raw const psw, options(noreturn)) }
}

/// Nothing here may panic: the symbol does not exist, so the link fails if a call of this could be reached.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }
    // SAFETY: is never linked.
    unsafe { a_panic_can_be_reached() }
}
