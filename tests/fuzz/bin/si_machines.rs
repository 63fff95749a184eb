//! The fuzzer's program for `si_machines`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::si_machines(data));
