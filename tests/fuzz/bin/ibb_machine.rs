//! The fuzzer's program for `ibb_machine`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::ibb_machine(data));
