//! The fuzzer's program for `router`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::router(data));
