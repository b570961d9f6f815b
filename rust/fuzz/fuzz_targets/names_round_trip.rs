#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imapvm_core::checks::names_round_trip(bytes));
