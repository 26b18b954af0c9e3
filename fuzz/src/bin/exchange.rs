//! The attestation exchange file, with the request and the response in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uvrequest::attest::{AdditionalData, Arpk, Exchange, verify};

fn fuzz(bytes: &[u8]) {
    let Ok(exchange) = Exchange::parse(bytes) else { return };
    let again = Exchange::parse(&exchange.to_bytes()).expect("what is written can be read");
    assert_eq!(again.request(), exchange.request());
    assert_eq!(again.response().ok(), exchange.response().ok());
    if let Ok(response) = exchange.response() {
        let _ = AdditionalData::parse(&response.additional, exchange.flags());
        let arpk = Arpk::try_from(&[7; 32][..]).expect("32 bytes");
        let tags = sehdr::BootTags {
            page_list_digest: [0; 64],
            address_list_digest: [0; 64],
            tweak_list_digest: [0; 64],
            tag: [0; 16],
        };
        verify(&exchange, &arpk, &tags).expect_err("nobody without the key made a request that opens");
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));
