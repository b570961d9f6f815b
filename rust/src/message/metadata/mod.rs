//! Message metadata: values stored with each message, so that most commands need not read it.
//!
//! [`build`] derives the values, [`render`] writes ENVELOPE and BODYSTRUCTURE, [`stored`] has the
//! stored form. Nothing here reads the bytes of a message: [`scanner`](super::scanner) does that
//! once, and [`search`](super::search) again where the metadata is not enough.

pub(crate) mod build;
mod codec;
pub(crate) mod envelope;
pub(crate) mod field_table;
pub(crate) mod header_cache;
mod media_types;
pub(crate) mod part_table;
pub(crate) mod render;
pub(crate) mod stored;
pub mod strict;
pub(crate) use self::codec::checksum;
