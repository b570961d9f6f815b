//! What must hold for any bytes whatever, taken for a data file.

use super::table::Table;
use super::{DEPTH_MAX, PAGE_SIZE_MIN, Snapshot};
use crate::filepool::{Bodies, Group, MetadataTable, Segments};

/// Steps of a cursor: a damaged file may lead in a circle, but never out of itself.
const STEPS: usize = 1_000;

/// No bytes make reading pages panic, and what is read lies inside the file.
///
/// # Panics
/// Where that does not hold.
pub fn pages_stay_inside(file: &[u8]) {
    let is_inside = |part: &[u8]| {
        let (all, part) = (file.as_ptr_range(), part.as_ptr_range());
        assert!(part.is_empty() || (all.start <= part.start && part.end <= all.end));
    };
    let key = file.get(..12).unwrap_or_default();
    for root in 0..DEPTH_MAX as u64 {
        let table = Table::new(file, PAGE_SIZE_MIN, root);
        let mut cursor = table.cursor();
        for found in [cursor.seek_back(key), cursor.seek(b""), cursor.seek(key)] {
            if let Ok(Some((key, value))) = found {
                is_inside(key);
                is_inside(value);
            }
        }
        for _ in 0..STEPS {
            let Ok(Some((key, value))) = cursor.next() else {
                break;
            };
            is_inside(key);
            is_inside(value);
        }
    }
    let snapshot = Snapshot::at(PAGE_SIZE_MIN, 0);
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
                is_inside(segment);
            }
        });
    }
}
