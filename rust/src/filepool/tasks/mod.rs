//! Work over many messages, executed in steps of limited size: between two steps the caller may
//! take another snapshot, or stop.

mod column_builder;
mod key_builder;
mod order_inserter;
mod search_task;

pub use self::column_builder::{ColumnBuilder, PendingMessage, pending_messages};
pub use self::key_builder::{KeyBuilder, KeyError};
pub use self::order_inserter::insert_in_order;
pub use self::search_task::SearchTask;
