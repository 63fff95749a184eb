//! The fuzzer's program for `dns`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::dns(data));
