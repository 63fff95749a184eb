//! The fuzzer's program for `socks5_course`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tubes_fuzz::socks5_course(data));
