//! Properties that hold for any input: bodies of fuzz targets, and of tests over a small corpus.
//! Each function panics if its property does not hold.

pub use crate::filepool::checks::*;
pub use crate::index::checks::*;
pub use crate::message::checks::*;
pub use crate::pages::checks::*;
pub use crate::wire::checks::*;
