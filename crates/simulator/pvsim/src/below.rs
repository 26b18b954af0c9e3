//! The firmware below a real kernel: what [`pvsim_machine`] asks for, answered from a machine's state.
//!
//! What [`crate::driver`] and the simulated AP bus do around the ultravisor and the hardware is done here by the guest's
//! own kernel.

mod ap;
mod ep11;
mod start;
mod uv;

use crate::ap::store::Store;
use crate::{Error, Machine};
use pvsim_machine::{ApAnswer, ApCall, Failure, Firmware, GuestMemory, Ipib, Refused, UvAnswer, UvCall};
use std::collections::{BTreeMap, VecDeque};

/// The firmware of a machine, for as long as its guest runs.
#[derive(Debug)]
pub struct Below {
    machine: Machine,
    store: Store,
    /// Replies of cards that wait to be fetched, by APQN.
    replies: BTreeMap<u16, VecDeque<Reply>>,
    /// Pages that the guest shares with the host.
    shared: u64,
}

/// A reply of a card. `None` for a message that is never answered.
type Reply = Option<(u64, Vec<u8>)>;

impl Below {
    /// The firmware of this machine.
    pub fn new(machine: Machine) -> Self {
        Self { store: Store::new(machine.clone()), machine, replies: BTreeMap::new(), shared: 0 }
    }

    /// The machine, as it is after the start of its guest.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// How many pages the guest shares with the host.
    pub fn shared_pages(&self) -> u64 {
        self.shared
    }
}

impl Firmware for Below {
    fn start_secure(&mut self, ipib: &Ipib, memory: &GuestMemory) -> Result<Result<(u64, u64), Refused>, Failure> {
        let (header, psw) = match start::unpack(self.machine.platform(), ipib, memory)? {
            Ok(started) => started,
            Err(refused) => return Ok(Err(refused)),
        };
        self.machine.start(&header)?;
        self.store = Store::new(self.machine.clone());
        Ok(Ok(psw))
    }

    fn uv_call(&mut self, call: UvCall) -> Result<UvAnswer, Failure> {
        if let UvCall::Share { shared, .. } = call {
            self.shared = if shared { self.shared + 1 } else { self.shared.saturating_sub(1) };
        }
        Ok(uv::carry_out(&self.machine, call)?)
    }

    fn has_ap(&self) -> bool {
        // A bus that cannot be read is told of at the first instruction.
        self.store.look(|bus, _| bus.settings.present).unwrap_or(true)
    }

    fn ap(&mut self, call: ApCall) -> Result<ApAnswer, Failure> {
        Ok(ap::carry_out(&self.store, &mut self.replies, call)?)
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        // What is not done here the next start does.
        let _: Result<(), Error> = self.machine.take_bus_back();
    }
}
