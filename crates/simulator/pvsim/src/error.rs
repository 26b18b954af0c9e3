use std::io;
use std::path::PathBuf;

/// Why something in the simulator did not work. What a request is refused for is told apart finely,
/// because the ultravisor answers each with another return code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image of a new machine could not be made.
    #[error("cannot make the boot image: {0}")]
    Image(String),
    /// The firmware refuses an image.
    #[error("the image does not start")]
    Refused(#[from] crate::unpack::Refused),
    /// The file does not hold the private key of a machine.
    #[error("is not an EC P-521 private key in PEM form")]
    NotAHostKey,
    /// The bytes are neither of the requests nor an exchange file.
    #[error("is neither an add-secret request, nor an attestation request, nor an attestation exchange file")]
    NotARequest,
    /// A field is cut, or bytes are left over.
    #[error("the request is cut or too long")]
    Wire(#[from] uvtypes::ReadError),
    /// The stated size is not that of the bytes.
    #[error("the request says at offset 0xc that it has {stated} bytes, but it has {given}")]
    StatedSize {
        /// What it says.
        stated: u32,
        /// What it has.
        given: usize,
    },
    /// The areas do not fill the request exactly.
    #[error("the areas of the request do not add up to its size: {reason}")]
    Areas {
        /// Which, and why not.
        reason: String,
    },
    /// Only one version exists.
    #[error("the request has version {0:#x}, but only version 0x100 is known")]
    Version(u32),
    /// A request without a key slot is for nobody.
    #[error("the request has no key slots")]
    NoKeySlots,
    /// The request is for other machines.
    #[error("no key slot of the request is for the host key {}", hex::encode(.0))]
    WrongHost([u8; 32]),
    /// The customer's public key is invalid.
    #[error("the customer's public key in the request is not a point of the curve P-521")]
    CustomerKey,
    /// A GCM tag is wrong.
    #[error("{0} cannot be decrypted: it was changed, or sealed for another key")]
    Tampered(&'static str),
    /// The encrypted area does not have the length that the fields in front of it ask for.
    #[error("the encrypted area has {found} bytes, but {expected} are needed")]
    EncryptedSize {
        /// What it has.
        found: usize,
        /// What the fields ask for.
        expected: usize,
    },
    /// The image's SE header is not for this machine, or damaged.
    #[error("the SE header cannot be opened")]
    Header(#[from] crate::image::OpenError),
    /// No such fault can be ordered.
    #[error("no such fault can be ordered: {0}")]
    Fault(String),
    /// The folder holds no machine.
    #[error("'{}' holds no machine; 'pvsim init' makes one", .0.display())]
    NoMachine(PathBuf),
    /// The folder for a new machine is in use.
    #[error("'{}' is not empty: a machine needs a folder of its own", .0.display())]
    NotEmpty(PathBuf),
    /// The folder for a new machine cannot be made or read.
    #[error("cannot make a machine in '{}'", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file of a machine cannot be read or written.
    #[error("the machine's file '{file}'")]
    File {
        /// Which.
        file: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file of a machine does not hold what it should.
    #[error("the machine's file '{file}': {reason}")]
    Content {
        /// Which.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The inventory file is wrong.
    #[error("the inventory file")]
    Inventory(#[source] serde_yaml::Error),
    /// The inventory file's AP bus is wrong.
    #[error("the inventory file: {0}")]
    Bus(String),
    /// Not a list of scenarios.
    #[error("is no list of scenarios")]
    Scenarios(#[source] serde_yaml::Error),
    /// A list of scenarios of another form.
    #[error("the format '{0}' is not known, only apconfig-scenarios/1")]
    ScenarioFormat(String),
    /// No such scenario.
    #[error("there is no row '{0}'")]
    NoRow(String),
    /// A scenario does not say what must come out.
    #[error("row '{row}' has no '{key}'")]
    NoExpectation {
        /// Which.
        row: String,
        /// The key that would say it.
        key: &'static str,
    },
    /// The program that scenarios run is not there.
    #[error("neither pvapconfig nor pvtools is in '{}'", .0.display())]
    NoProgram(PathBuf),
    /// A scenario cannot be run.
    #[error("cannot run the scenario: {what}")]
    Scenario {
        /// What of it.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// This cannot happen to the AP bus.
    #[error("this cannot happen: {0}")]
    Event(String),
    /// Programs cannot be served.
    #[error("cannot serve programs in the guest: {what}")]
    Server {
        /// What is missing for it.
        what: &'static str,
        /// Why it is.
        #[source]
        source: io::Error,
    },
    /// The preload library is not there.
    #[error("the preload library '{}' is not there: build pvsim, or install it beside", .0.display())]
    NoLibrary(PathBuf),
    /// The loader cannot be told of the preload library.
    #[error("the preload library '{}' has a blank or a colon in its path, which the loader takes as its end", .0.display())]
    LibraryName(PathBuf),
    /// OpenSSL refused an operation.
    #[error("OpenSSL")]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// A value cannot be shown.
    #[error("cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A value cannot be shown.
    #[error("cannot be written as YAML")]
    Yaml(#[from] serde_yaml::Error),
}
