//! The fuzzer's program for `ibb_pair`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::ibb_pair(data));
