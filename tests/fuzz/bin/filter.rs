//! The fuzzer's program for `filter`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::filter(data));
