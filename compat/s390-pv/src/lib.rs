#![forbid(unsafe_code)]
//! Holds the tests in `tests/`: every request that pvtools can make is read by IBM's library `s390_pv`, and
//! every request that the library can make by pvtools. The library is used through its published interface
//! alone.
