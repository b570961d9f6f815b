#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imapvm_core::checks::sets_round_trip(bytes));
