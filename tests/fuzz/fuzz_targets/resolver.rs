//! libFuzzer's door to `fuzz::resolver`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::resolver::target(data));
