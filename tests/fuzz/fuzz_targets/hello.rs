//! libFuzzer's door to `fuzz::hello`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::hello::target(data));
