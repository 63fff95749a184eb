//! The fuzzer's program for `tube_machines`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::tube_machines(data));
