//! The fuzzer's program for `secure_element`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::secure_element(data));
