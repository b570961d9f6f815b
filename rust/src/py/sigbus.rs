//! Handler of SIGBUS: the end of the process after a data file was truncated.
//!
//! LMDB and [`MappedFile`](super::buffer::MappedFile) read data files as memory. If another program
//! truncates one, reading a page past its end raises SIGBUS, at any instruction, also inside LMDB.
//! The handler writes an error with the file and its sizes to standard error and ends the process
//! with the exit code for corrupt data. If no file is truncated, the previous action is restored, and
//! the instruction repeated.
#![allow(unsafe_code)] // calls that are allowed in a signal handler (signal-safety(7))

use std::ffi::{CStr, c_int};
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Exit code for corrupt data (docs/operations.md).
const EXIT_CODE: c_int = 3;
/// Number of files that can be watched: all storage groups and the accounts, and some more.
const FILES: usize = 1024;
const LINE_BYTES: usize = 5 * 1024;
const FREE: c_int = -1;

/// File that is mapped.
struct Slot {
    file: AtomicI32,
    length: AtomicU64,
}

static SLOTS: [Slot; FILES] = [const {
    Slot {
        file: AtomicI32::new(FREE),
        length: AtomicU64::new(0),
    }
}; FILES];

static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// Registration of a file as long as it is mapped. Drop it before the file.
pub(super) struct Watch(Option<&'static Slot>);

impl Watch {
    /// Register a file that must not become shorter than `length`.
    pub fn new(file: &File, length: u64) -> Self {
        install();
        let number = file.as_raw_fd();
        let take = |slot: &&Slot| {
            slot.file
                .compare_exchange(FREE, number, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let watch = Self(SLOTS.iter().find(take));
        watch.set_length(length);
        watch
    }

    /// Note that the file has become longer.
    pub fn set_length(&self, length: u64) {
        if let Some(slot) = self.0 {
            slot.length.store(length, Ordering::Release);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.length.store(0, Ordering::Release);
            slot.file.store(FREE, Ordering::Release);
        }
    }
}

/// Install the handler, once.
fn install() {
    PREVIOUS.get_or_init(|| {
        // SAFETY: zeros are a valid `sigaction`; both pointers are to whole ones; the handler has the
        // signature of an action without SA_SIGINFO.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            let mut previous: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = handle as extern "C" fn(c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(libc::SIGBUS, &raw const action, &raw mut previous);
            previous
        }
    });
}

extern "C" fn handle(_signal: c_int) {
    for slot in &SLOTS {
        let file = slot.file.load(Ordering::Acquire);
        let expected = slot.length.load(Ordering::Acquire);
        if file == FREE {
            continue;
        }
        if let Some(found) = size_of(file)
            && found < expected
        {
            report(file, expected, found);
            // SAFETY: ends the process without running anything else of it.
            unsafe { libc::_exit(EXIT_CODE) };
        }
    }
    let previous = PREVIOUS.get().map_or(null(), |action| &raw const *action);
    // SAFETY: null, or a whole `sigaction` that was read by `install`.
    unsafe { libc::sigaction(libc::SIGBUS, previous, null_mut()) };
}

fn size_of(file: c_int) -> Option<u64> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `status` is large enough, and is read only if it was written.
    let status = unsafe {
        if libc::fstat(file, status.as_mut_ptr()) != 0 {
            return None;
        }
        status.assume_init()
    };
    u64::try_from(status.st_size).ok()
}

fn report(file: c_int, expected: u64, found: u64) {
    let mut line = FixedLine::default();
    line.push(b"imapvm: cannot use ");
    line.push_path(file);
    line.push(b": the file is truncated: expected at least ");
    line.push_number(expected);
    line.push(b" bytes, found ");
    line.push_number(found);
    line.push(b"; restore the filepool from a backup\n");
    // SAFETY: `bytes` has `length` bytes.
    unsafe { libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.length) };
}

/// Line of text in a fixed buffer. What does not fit is cut off.
struct FixedLine {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Default for FixedLine {
    fn default() -> Self {
        Self {
            bytes: [0; LINE_BYTES],
            length: 0,
        }
    }
}

impl FixedLine {
    fn push(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    fn push_number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut rest = number;
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b"0123456789"
                .get(usize::try_from(rest % 10).unwrap_or(0))
                .copied()
                .unwrap_or(b'0');
            first = at;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(first..).unwrap_or_default());
    }

    /// Append the path of an open file.
    fn push_path(&mut self, file: c_int) {
        let mut name = Self::default();
        name.push(b"/proc/self/fd/");
        name.push_number(u64::from(file.unsigned_abs()));
        name.push(b"\0");
        let mut path = [0; libc::PATH_MAX as usize];
        let Ok(name) = CStr::from_bytes_until_nul(&name.bytes) else {
            return;
        };
        // SAFETY: `name` ends with NUL, and `path` has as many bytes as are passed.
        let length = unsafe { libc::readlink(name.as_ptr(), path.as_mut_ptr().cast(), path.len()) };
        self.push(
            path.get(..usize::try_from(length).unwrap_or(0))
                .unwrap_or_default(),
        );
    }
}
