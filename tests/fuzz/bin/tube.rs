//! The fuzzer's program for `tube`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::tube(data));
