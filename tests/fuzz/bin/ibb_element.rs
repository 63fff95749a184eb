//! The fuzzer's program for `ibb_element`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::ibb_element(data));
