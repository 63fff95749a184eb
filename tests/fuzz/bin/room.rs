//! The fuzzer's program for `room`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::room(data));
