//! The fuzzer's program for `scram`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::scram(data));
