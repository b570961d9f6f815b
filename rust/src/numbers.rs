//! Sets of message numbers.
