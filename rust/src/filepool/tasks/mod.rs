//! Work over many messages, executed in steps of limited size: between two steps the caller may
//! take another snapshot, or stop.

mod column_builder;
mod key_builder;
mod search_task;

pub use self::column_builder::{ColumnBuilder, PendingMessage, pending_messages};
pub use self::key_builder::{KeyBuilder, KeyError};
pub use self::search_task::SearchTask;
