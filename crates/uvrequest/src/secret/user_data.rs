//! User data: bytes of the request's owner that the ultravisor passes by, signed if wanted.
//!
//! The area has 512 bytes:
//!
//! | kind | content |
//! |---|---|
//! | 0 | zeros |
//! | 1 | up to 512 bytes, filled with zeros |
//! | 2, EC P-521 | 256 data, 139 signature (DER, filled with zeros), 5 reserved, 2 size of the signature, 110 reserved |
//! | 3, RSA-2048 | 256 data, 256 signature |
//! | 4, RSA-3072 | 128 data, 384 signature |
//!
//! The signature (SHA-512 with ECDSA or RSASSA-PSS, whose salt is as long as fits) is over the request up to the end
//! of the encrypted area, with the signature's part of this area zero.

use uvtypes::layout::{self, Field, FieldKind};

/// Bytes of the area.
pub(crate) const AREA_SIZE: usize = 512;
/// Bytes of a DER-encoded P-521 signature, at most.
pub(super) const EC_SIGNATURE: usize = 139;
/// Where in the area the size of an EC signature stands.
pub(super) const EC_SIGNATURE_SIZE_AT: usize = 0x190;

/// Layout of the user-data area, by the kind in the request's magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserDataLayout {
    /// Kind of user data, 0 to 4.
    pub kind: u16,
    /// Meaning of the kind.
    pub meaning: &'static str,
    /// Fields of the area, whose offsets are counted from its start.
    pub fields: &'static [Field],
}

/// All kinds of user data.
pub const LAYOUTS: &[UserDataLayout] = &[
    UserDataLayout { kind: 0, meaning: "none", fields: &[Field::reserved(0, AREA_SIZE)] },
    UserDataLayout { kind: 1, meaning: "not signed", fields: &[data(AREA_SIZE)] },
    UserDataLayout {
        kind: Scheme::EcP521 as u16,
        meaning: "signed with EC P-521",
        fields: &[
            data(Scheme::EcP521.data_size()),
            Field::new(256, EC_SIGNATURE, "signature (DER, ECDSA with SHA-512)", FieldKind::Bytes),
            Field::reserved(395, 5),
            Field::new(EC_SIGNATURE_SIZE_AT, 2, "size of the signature", FieldKind::Number),
            Field::reserved(EC_SIGNATURE_SIZE_AT + 2, 110),
        ],
    },
    UserDataLayout {
        kind: Scheme::Rsa2048 as u16,
        meaning: "signed with RSA-2048",
        fields: &[
            data(Scheme::Rsa2048.data_size()),
            Field::new(256, 256, "signature (RSASSA-PSS with SHA-512)", FieldKind::Bytes),
        ],
    },
    UserDataLayout {
        kind: Scheme::Rsa3072 as u16,
        meaning: "signed with RSA-3072",
        fields: &[
            data(Scheme::Rsa3072.data_size()),
            Field::new(128, 384, "signature (RSASSA-PSS with SHA-512)", FieldKind::Bytes),
        ],
    },
];

const _: () = {
    let (mut rest, mut kind) = (LAYOUTS, 0);
    while let [layout, others @ ..] = rest {
        assert!(layout.kind == kind && layout::end(layout.fields) == AREA_SIZE);
        (rest, kind) = (others, kind + 1);
    }
};

const fn data(size: usize) -> Field {
    Field::new(0, size, "user data", FieldKind::Bytes)
}

/// How user data is signed. The numbers are the kinds in the request's magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    EcP521 = 2,
    Rsa2048 = 3,
    Rsa3072 = 4,
}

impl Scheme {
    pub(crate) fn from_kind(kind: u16) -> Option<Self> {
        [Self::EcP521, Self::Rsa2048, Self::Rsa3072].into_iter().find(|scheme| *scheme as u16 == kind)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EcP521 => "EC secp521r1",
            Self::Rsa2048 => "RSA 2048",
            Self::Rsa3072 => "RSA 3072",
        }
    }

    /// Bytes of the area that are data; the signature has the rest.
    pub(crate) const fn data_size(self) -> usize {
        match self {
            Self::EcP521 | Self::Rsa2048 => 256,
            Self::Rsa3072 => 128,
        }
    }
}
