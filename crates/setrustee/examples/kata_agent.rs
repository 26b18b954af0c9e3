//! What an agent in a Secure Execution guest does with a Crypto Express queue, such as that of Kata Containers.
//!
//! Usage: `kata_agent APQN RESOURCES`, where the folder RESOURCES stands for the key broker: it has
//! `vfio_ap/MKVP/secret` and `vfio_ap/MKVP/secret_id`, as `pvtools trustee resources --folder` writes them.
//!
//! - A queue that is bound already is a success, as is one that has the right association.
//! - The secret is added only if its id is not listed: two queues with one master key need one secret.
//! - Ids are compared as bytes: quotes, capital letters and `0x` in `secret_id` do not matter.
//! - One pass over sysfs, instead of one for each question.
//! - Waits go through [`Clock`] and a thread of their own: an agent with an async runtime calls [`associate`] from
//!   `spawn_blocking`, and no other task waits for it.

use apbus::{Apqn, Bus, Clock, MasterKey, Mode, Operator, Queue};
use setrustee::{ResourcePath, parse_secret_id};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uvdevice::{SecretKind, Ultravisor, UvDevice};

struct Monotonic(Instant);

impl Clock for Monotonic {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Gives a resource: in an agent, a call of the confidential data hub.
type Fetch<'a> = &'a dyn Fn(&ResourcePath) -> Result<Vec<u8>, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(apqn), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: kata_agent APQN RESOURCES".into());
    };
    let apqn: Apqn = apqn.parse()?;
    let folder = PathBuf::from(folder);
    let fetch = |path: &ResourcePath| -> Result<Vec<u8>, Box<dyn Error>> {
        let file = folder.join(path.parts().iter().collect::<PathBuf>());
        std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()).into())
    };
    associate(apqn, &fetch)
}

/// From a queue that the host passed through to one that containers can use.
fn associate(apqn: Apqn, fetch: Fetch<'_>) -> Result<(), Box<dyn Error>> {
    // The host may have just plugged the queue: look at the hardware again, then once at everything.
    std::fs::write("/sys/bus/ap/scans", "1")?;
    let bus = Bus::open(Path::new("/sys"))?;
    bus.check_secure_binding()?;
    let queue = find(&bus, apqn)?;
    let clock = Monotonic(Instant::now());
    let operator = Operator::new(&bus, &clock, &|_| {});
    operator.bind(apqn, queue.mode)?;
    if queue.mode != Mode::Ep11 {
        return Ok(());
    }
    // Of an EP11 queue, only a bound one says which master key it has.
    let MasterKey::Valid(mkvp) = find(&bus, apqn)?.master_key else {
        return Err(format!("{apqn} has no valid master key: it has to be set from a TKE workstation").into());
    };
    let path = |tag: &str| ResourcePath::parse(&format!("vfio_ap/{mkvp}/{tag}"));
    let id = parse_secret_id(&String::from_utf8(fetch(&path("secret_id")?)?)?)?;
    let device = UvDevice::open(Path::new("/dev/uv"))?;
    let index = match listed(&device, id.as_bytes())? {
        Some(index) => index,
        None => {
            device.add_secret(&fetch(&path("secret")?)?)?;
            listed(&device, id.as_bytes())?.ok_or("'secret' and 'secret_id' do not belong together")?
        }
    };
    operator.associate(apqn, index)?;
    Ok(())
}

fn find(bus: &Bus, apqn: Apqn) -> Result<Queue, Box<dyn Error>> {
    let queue = bus.inventory()?.queues.into_iter().find(|queue| queue.apqn == apqn);
    queue.ok_or_else(|| format!("there is no usable queue {apqn}").into())
}

/// The index of the association secret with this id.
fn listed(device: &UvDevice, id: &[u8; 32]) -> Result<Option<u16>, Box<dyn Error>> {
    let list = device.list_secrets()?;
    let mut secrets = list.secrets.iter().filter(|secret| secret.kind == SecretKind::ASSOCIATION);
    Ok(secrets.find(|secret| secret.id.0 == *id).map(|secret| secret.index))
}
