//! The fuzzer's program for `trust_file`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::trust_file(data));
