//! The fuzzer's program for `file_name`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::file_name(data));
