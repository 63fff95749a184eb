//! The fuzzer's program for `file_offer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::file_offer(data));
