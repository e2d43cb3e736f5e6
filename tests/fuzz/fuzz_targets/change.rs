//! libFuzzer's door to `fuzz::change`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::change::target(data));
