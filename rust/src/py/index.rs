//! Python faces of `index` and `numbers`.
