//! The fuzzer's program for `abilities`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::abilities(data));
