//! Corrupt pages of a data file: always an error, never a panic. `tests/filepool/engine/test_pages.py`
//! tests that pages written by LMDB are read as LMDB reads them.

#![allow(clippy::indexing_slicing)] // tests and their helpers may panic

use imapvm_core::checks;
use proptest::prelude::*;

const PAGE: usize = 512;

/// Page with its right number, and nodes at offsets that are mostly inside it.
fn page(number: u64) -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![1_u16, 2, 4, 8, 0x12, 0xFFFF]);
    let node = (16_u16..600, any::<[u8; 4]>(), 0_u16..4, 0_u16..20);
    let nodes = prop::collection::vec(node, 0..8);
    let lower = prop_oneof![8 => Just(None), 1 => any::<u16>().prop_map(Some)];
    (kind, nodes, lower, 0_u8..8).prop_map(move |(kind, nodes, lower, child)| {
        let mut page = vec![0_u8; PAGE];
        page[..8].copy_from_slice(&number.to_le_bytes());
        page[10..12].copy_from_slice(&kind.to_le_bytes());
        let count = u16::try_from(nodes.len()).unwrap_or(0);
        let lower = lower.unwrap_or(16 + 2 * count);
        page[12..14].copy_from_slice(&lower.to_le_bytes());
        for (at, (offset, size, flags, key)) in nodes.into_iter().enumerate() {
            page[16 + 2 * at..18 + 2 * at].copy_from_slice(&offset.to_le_bytes());
            let head = usize::from(offset);
            if let Some(node) = page.get_mut(head..head + 8) {
                // A size, or usually the number of an existing page.
                let size = if flags == 0 { [child, 0, 0, 0] } else { size };
                node[..4].copy_from_slice(&size);
                node[4..6].copy_from_slice(&flags.to_le_bytes());
                node[6..].copy_from_slice(&key.to_le_bytes());
            }
        }
        page
    })
}

proptest! {
    #[test]
    fn corrupt_pages_stay_inside(pages in (0..8_u64).map(page).collect::<Vec<_>>()) {
        checks::pages_stay_inside_the_file(&pages.concat());
        checks::rows_stay_inside_the_file(&pages.concat());
    }

    #[test]
    fn any_bytes_stay_inside(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        checks::pages_stay_inside_the_file(&bytes);
        checks::rows_stay_inside_the_file(&bytes);
    }
}
