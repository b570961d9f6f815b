#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imapvm_core::checks::pages_stay_inside_the_file(bytes));
