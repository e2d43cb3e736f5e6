//! libFuzzer's door to `fuzz::admin`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::admin::target(data));
