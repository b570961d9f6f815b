#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imapvm_core::checks::metadata_stays_inside_the_message(bytes));
