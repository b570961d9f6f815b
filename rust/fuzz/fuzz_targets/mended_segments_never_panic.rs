#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| imapvm_core::checks::mended_segments_never_panic(octets));
