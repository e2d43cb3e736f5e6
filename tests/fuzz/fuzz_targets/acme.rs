//! libFuzzer's door to `fuzz::acme`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::acme::target(data));
