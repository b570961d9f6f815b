#![no_main]
use imapvm_core::checks::metadata_does_not_depend_on_cuts as check;
libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| check(input.1, usize::from(input.0) + 1));
