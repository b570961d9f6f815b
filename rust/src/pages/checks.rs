//! Properties that hold for any bytes taken for a data file: bodies of fuzz targets and of tests.

use super::table::Table;
use super::{DEPTH_MAX, PAGE_SIZE_MIN};

/// Maximum steps of a cursor: the pages of a corrupt file may form a circle.
pub(crate) const STEPS: usize = 1_000;

/// Assert that `part` is a slice of `file`.
///
/// # Panics
/// If it is not.
pub(crate) fn assert_inside(file: &[u8], part: &[u8]) {
    let (all, part) = (file.as_ptr_range(), part.as_ptr_range());
    assert!(part.is_empty() || (all.start <= part.start && part.end <= all.end));
}

/// Reading pages of any bytes does not panic, and all results lie inside the file.
///
/// # Panics
/// If the property does not hold.
pub fn pages_stay_inside_the_file(file: &[u8]) {
    let key = file.get(..12).unwrap_or_default();
    for root in 0..DEPTH_MAX as u64 {
        let table = Table::new(file, PAGE_SIZE_MIN, root);
        let mut cursor = table.cursor();
        for found in [cursor.seek_back(key), cursor.seek(b""), cursor.seek(key)] {
            if let Ok(Some((key, value))) = found {
                assert_inside(file, key);
                assert_inside(file, value);
            }
        }
        for _ in 0..STEPS {
            let Ok(Some((key, value))) = cursor.next() else {
                break;
            };
            assert_inside(file, key);
            assert_inside(file, value);
        }
    }
}
