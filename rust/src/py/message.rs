//! Python faces of `message`.
