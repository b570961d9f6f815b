#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imapvm_core::checks::segments_with_valid_checksums_never_panic(bytes));
