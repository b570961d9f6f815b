//! Responses of SORT and THREAD (RFC 5256 section 4, RFC 5267 section 3).

use super::threads::Threads;
use crate::numbers::put_decimal;
use crate::wire::ast::Window;

/// Data of an ESEARCH response (RFC 4731 section 3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is an option of the client
pub struct Esearch {
    /// `ESEARCH (TAG "…") [UID]`
    pub head: Vec<u8>,
    /// The first in the order of SORT.
    pub min: bool,
    /// The last.
    pub max: bool,
    /// All, in order.
    pub all: bool,
    /// Their number.
    pub count: bool,
    /// Those in a window of the order (RFC 9394).
    pub window: Option<Window>,
    /// Relevancy of all, or of those in the window (RFC 6203 section 4).
    pub relevancy: bool,
}

impl Esearch {
    /// Return the MODSEQ of the response from those of the messages, in the order of SORT: the
    /// highest one of those that it returns (RFC 4731 section 3.2).
    pub(super) fn modseq(&self, modseqs: &[u64]) -> Option<u64> {
        if (self.min || self.max || self.window.is_some()) && !self.all && !self.count {
            let first = modseqs.first().filter(|_| self.min);
            let last = modseqs.last().filter(|_| self.max);
            let others = self
                .window
                .and_then(|window| in_window(modseqs, window).iter().max());
            first.max(last).max(others).copied()
        } else {
            modseqs.iter().max().copied()
        }
    }
}

/// Write `* SORT 2 84 882`, with `(MODSEQ 917162500)` if `modseq` is given and messages were found
/// (RFC 7162 section 3.1.9).
pub(super) fn sort(to: &mut Vec<u8>, numbers: &[u32], modseq: Option<u64>) {
    to.extend_from_slice(b"* SORT");
    for number in numbers {
        to.push(b' ');
        put_decimal(to, (*number).into());
    }
    if let Some(modseq) = modseq.filter(|_| !numbers.is_empty()) {
        to.extend_from_slice(b" (MODSEQ ");
        put_decimal(to, modseq);
        to.push(b')');
    }
    to.extend_from_slice(b"\r\n");
}

/// Write `* ESEARCH …`. Without messages, MIN, MAX, ALL and MODSEQ are left out (RFC 4731
/// sections 3.1 and 3.2).
pub(super) fn esearch(
    to: &mut Vec<u8>,
    numbers: &[u32],
    scores: &[u8],
    reply: &Esearch,
    modseq: Option<u64>,
) {
    to.extend_from_slice(b"* ");
    to.extend_from_slice(&reply.head);
    if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
        for (wanted, word, number) in [(reply.min, b" MIN ", first), (reply.max, b" MAX ", last)] {
            if wanted {
                to.extend_from_slice(word);
                put_decimal(to, (*number).into());
            }
        }
        if reply.all {
            to.extend_from_slice(b" ALL ");
            sequence_set(to, numbers);
        }
    }
    if reply.count {
        to.extend_from_slice(b" COUNT ");
        put_decimal(to, numbers.len() as u64);
    }
    if let Some(window) = reply.window {
        to.extend_from_slice(format!(" PARTIAL ({}:{} ", window.one, window.other).as_bytes());
        match in_window(numbers, window) {
            [] => to.extend_from_slice(b"NIL"),
            some => sequence_set(to, some),
        }
        to.push(b')');
    }
    if reply.relevancy {
        let scores = reply
            .window
            .map_or(scores, |window| in_window(scores, window));
        to.extend_from_slice(b" RELEVANCY (");
        for (place, score) in scores.iter().enumerate() {
            to.extend_from_slice(if place > 0 { b" " } else { b"" });
            put_decimal(to, (*score).into());
        }
        to.push(b')');
    }
    if let Some(modseq) = modseq.filter(|_| !numbers.is_empty()) {
        to.extend_from_slice(b" MODSEQ ");
        put_decimal(to, modseq);
    }
    to.extend_from_slice(b"\r\n");
}

/// Return the elements in a window.
pub fn in_window<T>(all: &[T], window: Window) -> &[T] {
    let (before, count) = window.within(u32::try_from(all.len()).unwrap_or(u32::MAX));
    let (before, count) = (before as usize, count as usize);
    all.get(before..before + count).unwrap_or_default()
}

/// Write numbers in their order; a range only where they ascend (RFC 5267 section 3.2).
pub(super) fn sequence_set(to: &mut Vec<u8>, numbers: &[u32]) {
    let runs = numbers.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    for (place, run) in runs.enumerate() {
        if place > 0 {
            to.push(b',');
        }
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            put_decimal(to, (*first).into());
            if first != last {
                to.push(b':');
                put_decimal(to, (*last).into());
            }
        }
    }
}

/// Step of writing threads.
enum ThreadStep {
    /// Write a member, and all below it, in parentheses.
    Open(u32),
    /// Close the parentheses.
    Close,
}

/// Write `* THREAD (2)(3 6 (4 23)(44 7 96))`; `numbers` has the number of each message.
///
/// ```abnf
/// thread-list    = "(" (thread-members / thread-nested) ")"
/// thread-members = nz-number *(SP nz-number) [SP thread-nested]
/// thread-nested  = 2*thread-list
/// ```
pub(super) fn threads(to: &mut Vec<u8>, threads: &Threads, numbers: &[u32]) {
    to.extend_from_slice(b"* THREAD");
    if !threads.top.is_empty() {
        to.push(b' ');
    }
    let mut steps: Vec<ThreadStep> = threads
        .top
        .iter()
        .rev()
        .copied()
        .map(ThreadStep::Open)
        .collect();
    while let Some(step) = steps.pop() {
        let ThreadStep::Open(first) = step else {
            to.push(b')');
            continue;
        };
        to.push(b'(');
        let mut node = first;
        loop {
            if let Some(number) = numbers.get(node as usize) {
                put_decimal(to, (*number).into());
            }
            match threads.children(node) {
                [] => {
                    to.push(b')');
                    break;
                }
                [only] if node < threads.messages => {
                    to.push(b' ');
                    node = *only;
                }
                children => {
                    if node < threads.messages {
                        to.push(b' ');
                    }
                    steps.push(ThreadStep::Close);
                    steps.extend(children.iter().rev().copied().map(ThreadStep::Open));
                    break;
                }
            }
        }
    }
    to.extend_from_slice(b"\r\n");
}
