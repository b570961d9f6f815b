//! What must hold for any bytes whatever, taken for a data file.

use super::table::Table;
use super::{DEPTH_MAX, PAGE_SIZE_MIN};

/// Steps of a cursor: a damaged file may lead in a circle, but never out of itself.
pub(crate) const STEPS: usize = 1_000;

/// Assert that `part` is a slice of `file`.
///
/// # Panics
/// If it is not.
pub(crate) fn assert_inside(file: &[u8], part: &[u8]) {
    let (all, part) = (file.as_ptr_range(), part.as_ptr_range());
    assert!(part.is_empty() || (all.start <= part.start && part.end <= all.end));
}

/// No bytes make reading pages panic, and what is read lies inside the file.
///
/// # Panics
/// Where that does not hold.
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
