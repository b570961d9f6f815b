//! Properties that hold for any bytes taken for a data file: bodies of fuzz targets and of tests.

use super::{Bodies, Group, MetadataTable, Segments};
use crate::pages::Snapshot;
use crate::pages::checks::{STEPS, assert_inside};

/// Reading the rows of a storage group never panics and never leaves the file.
///
/// # Panics
/// If the property does not hold.
pub fn rows_stay_inside_the_file(file: &[u8]) {
    let snapshot = Snapshot::unchecked(0);
    let group = Group::new(file, snapshot);
    if let Ok(mut metadata) = MetadataTable::new(group) {
        let _ = metadata.get(1);
    }
    if let Ok(mut bodies) = Bodies::new(group) {
        let mut bytes = Vec::new();
        let _ = bodies.read(1, 0, 100_000, &mut bytes);
        assert!(bytes.len() <= 100_000);
    }
    if let Ok(segments) = Segments::new(group, 1, None) {
        segments.take(STEPS).for_each(|segment| {
            if let Ok(segment) = segment {
                assert_inside(file, segment);
            }
        });
    }
}
