//! Output buffer of one connection. Messages are sent without being copied.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use crate::limits::{OUTPUT_BYTES_KEPT, SLICES_AT_ONCE};

/// Bytes to be written, in order.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// Number of `bytes` that have been written.
    written: usize,
    messages: VecDeque<Message>,
}

#[derive(Debug)]
struct Message {
    /// Is sent before `bytes[before]`.
    before: usize,
    bytes: Arc<[u8]>,
    written: usize,
}

impl Output {
    /// Append bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Append a number in decimal.
    pub fn push_number(&mut self, mut number: u64) {
        let mut digits = [0_u8; 20];
        let mut first = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            first -= 1;
            if number == 0 {
                break;
            }
        }
        self.push(digits.get(first..).unwrap_or_default());
    }

    /// Append a message without copying it.
    pub fn push_message(&mut self, bytes: &Arc<[u8]>) {
        if !bytes.is_empty() {
            let message = Message {
                before: self.bytes.len(),
                bytes: Arc::clone(bytes),
                written: 0,
            };
            self.messages.push_back(message);
        }
    }

    /// Return whether all has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.written == self.bytes.len()
    }

    /// Return the next piece to write.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        let piece = match self.messages.front() {
            Some(message) if message.before == self.written => message.bytes.get(message.written..),
            Some(message) => self.bytes.get(self.written..message.before),
            None => self.bytes.get(self.written..),
        };
        piece.unwrap_or_default()
    }

    /// Return whether `first` is everything: the usual case.
    #[must_use]
    pub fn is_one_piece(&self) -> bool {
        self.messages.is_empty()
    }

    /// Fill `slices` with the next pieces to write; return their number.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_AT_ONCE]) -> usize {
        let mut at = self.written;
        let mut count = 0;
        let mut places = slices.iter_mut();
        let mut put = |piece: Option<&'a [u8]>| {
            if let Some(piece) = piece.filter(|piece| !piece.is_empty())
                && let Some(place) = places.next()
            {
                *place = IoSlice::new(piece);
                count += 1;
            }
        };
        for message in &self.messages {
            put(self.bytes.get(at..message.before));
            put(message.bytes.get(message.written..));
            at = message.before;
        }
        put(self.bytes.get(at..));
        count
    }

    /// Note that `count` bytes have been written.
    pub fn advance(&mut self, mut count: usize) {
        while let Some(message) = self.messages.front_mut() {
            let bytes = count.min(message.before - self.written);
            self.written += bytes;
            count -= bytes;
            let of_message = count.min(message.bytes.len() - message.written);
            message.written += of_message;
            count -= of_message;
            if message.written < message.bytes.len() || message.before > self.written {
                return;
            }
            self.messages.pop_front();
        }
        self.written = (self.written + count).min(self.bytes.len());
        if self.written == self.bytes.len() {
            self.clear();
        }
    }

    /// Drop everything.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.written = 0;
        self.bytes.clear();
        if self.bytes.capacity() > OUTPUT_BYTES_KEPT {
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Output, Vec<u8>) {
        let mut output = Output::default();
        let message: Arc<[u8]> = (*b"MESSAGE").into();
        output.push(b"one ");
        output.push_message(&message);
        output.push_message(&message);
        output.push(b" two ");
        output.push_message(&(*b"").into());
        output.push_number(0);
        output.push_number(u64::MAX);
        output.push_message(&message);
        (
            output,
            b"one MESSAGEMESSAGE two 018446744073709551615MESSAGE".to_vec(),
        )
    }

    fn gathered(output: &Output) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES_AT_ONCE];
        let count = output.slices(&mut slices);
        slices[..count]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[test]
    fn output_does_not_depend_on_the_sizes_of_writes() {
        for step in 1..60 {
            let (mut output, expected) = sample();
            let (mut by_slices, mut by_first) = (Vec::new(), Vec::new());
            while !output.is_empty() {
                let all = gathered(&output);
                let first = output.first().to_vec();
                assert!(all.starts_with(&first) && !first.is_empty());
                let now = step.min(all.len());
                by_slices.extend_from_slice(&all[..now]);
                by_first.extend_from_slice(&first[..first.len().min(now)]);
                output.advance(now);
                if now > first.len() {
                    by_first.extend_from_slice(&all[first.len()..now]);
                }
            }
            assert_eq!(by_slices, expected, "{step}");
            assert_eq!(by_first, expected, "{step}");
            assert!(output.first().is_empty());
        }
    }

    #[test]
    fn a_large_buffer_is_freed() {
        let mut output = Output::default();
        output.push(&vec![b'x'; OUTPUT_BYTES_KEPT * 4]);
        output.advance(OUTPUT_BYTES_KEPT * 4);
        assert!(output.is_empty() && output.bytes.capacity() <= OUTPUT_BYTES_KEPT);
    }
}
