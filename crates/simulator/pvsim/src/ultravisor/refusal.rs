//! Why the ultravisor refuses, and what it answers then: the one table.

use crate::Error;

/// Every reason for which the simulated ultravisor refuses a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below says what each is")]
pub enum Refusal {
    AddLocked,
    AddVersion,
    AddMagic,
    AddSize,
    AddKeySlots,
    AddFlags,
    AddWrongHost,
    AddCustomerKey,
    AddTampered,
    AddKind,
    AddLength,
    AddAssociationFull,
    AddRetrievableFull,
    AddFull,
    AddOtherImage,
    AddOtherGuest,
    AddExtensionSecret,
    AddCckFixed,
    LockLocked,
    AttestUserData,
    AttestVersion,
    AttestSize,
    AttestKeySlots,
    AttestEncryptedSize,
    AttestFlags,
    AttestAlgorithm,
    AttestWrongHost,
    AttestTampered,
    AttestMeasurementArea,
    AttestAdditionalArea,
    RetrieveBuffer,
    RetrieveEmpty,
    RetrieveIndex,
    RetrieveKind,
}

impl Refusal {
    /// All of them with the answer (rc, rrc). Public sources fix the rc of most. They do not say what firmware gives
    /// for another image, another guest, a wrong extension secret or a CCK that may not be replaced: 0x010c is the
    /// simulator's choice. They say nothing about the rrc at all: here it tells apart what has the same rc.
    pub const TABLE: &[(Self, u16, u16)] = &[
        (Self::AddLocked, 0x0102, 0),
        (Self::AddVersion, 0x0104, 1),
        (Self::AddMagic, 0x0104, 2),
        (Self::AddSize, 0x0105, 0),
        (Self::AddKeySlots, 0x0106, 0),
        (Self::AddFlags, 0x0107, 0),
        (Self::AddWrongHost, 0x0108, 1),
        (Self::AddCustomerKey, 0x0108, 2),
        (Self::AddTampered, 0x0108, 3),
        (Self::AddKind, 0x0109, 0),
        (Self::AddLength, 0x010a, 0),
        (Self::AddAssociationFull, 0x010b, 1),
        (Self::AddRetrievableFull, 0x010b, 2),
        (Self::AddFull, 0x010b, 3),
        (Self::AddOtherImage, 0x010c, 1),
        (Self::AddOtherGuest, 0x010c, 2),
        (Self::AddExtensionSecret, 0x010c, 3),
        (Self::AddCckFixed, 0x010c, 4),
        (Self::LockLocked, 0x0102, 0),
        (Self::AttestUserData, 0x0102, 0),
        (Self::AttestVersion, 0x0106, 0),
        (Self::AttestSize, 0x0107, 0),
        (Self::AttestKeySlots, 0x0108, 0),
        (Self::AttestEncryptedSize, 0x0109, 0),
        (Self::AttestFlags, 0x010a, 0),
        (Self::AttestAlgorithm, 0x010b, 0),
        (Self::AttestWrongHost, 0x010c, 1),
        (Self::AttestTampered, 0x010c, 2),
        (Self::AttestMeasurementArea, 0x010d, 0),
        (Self::AttestAdditionalArea, 0x010e, 0),
        (Self::RetrieveBuffer, 0x0109, 0),
        (Self::RetrieveEmpty, 0x010f, 0),
        (Self::RetrieveIndex, 0x0110, 0),
        (Self::RetrieveKind, 0x0111, 0),
    ];

    /// What the ultravisor answers: rc and rrc.
    pub fn code(self) -> (u16, u16) {
        // 0x0000 is "invalid rc": what firmware must never answer.
        Self::TABLE.iter().find(|row| row.0 == self).map_or((0, 0), |(_, rc, rrc)| (*rc, *rrc))
    }

    /// For an add-secret request that cannot be decoded.
    pub(super) fn of_add_secret(error: &Error) -> Self {
        match error {
            Error::Version(_) => Self::AddVersion,
            Error::NotARequest => Self::AddMagic,
            Error::NoKeySlots => Self::AddKeySlots,
            Error::WrongHost(_) => Self::AddWrongHost,
            Error::CustomerKey => Self::AddCustomerKey,
            Error::EncryptedSize { .. } => Self::AddLength,
            Error::Wire(_) | Error::StatedSize { .. } | Error::Areas { .. } => Self::AddSize,
            _ => Self::AddTampered,
        }
    }

    /// For an attestation request that cannot be decoded.
    pub(super) fn of_attestation(error: &Error) -> Self {
        match error {
            Error::Version(_) | Error::NotARequest => Self::AttestVersion,
            Error::NoKeySlots => Self::AttestKeySlots,
            Error::WrongHost(_) | Error::CustomerKey => Self::AttestWrongHost,
            Error::EncryptedSize { .. } => Self::AttestEncryptedSize,
            Error::Wire(_) | Error::StatedSize { .. } | Error::Areas { .. } => Self::AttestSize,
            _ => Self::AttestTampered,
        }
    }
}
