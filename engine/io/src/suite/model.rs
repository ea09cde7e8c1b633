//! Random operations against a plain vector.

use std::path::Path;

use crate::dice::Dice;
use crate::file::{SegmentFile, SegmentStore};

use super::{create, read, unit_bytes, write};

/// Most units the file grows to.
const UNITS_MAX: u64 = 64;

/// Runs a seeded sequence of writes, reservations, cuts, syncs and re-opens, and compares every read with a vector.
///
/// # Panics
///
/// If file and vector ever differ.
pub async fn random_operations_match_a_model<S: SegmentStore>(store: &S, directory: &Path, seed: u64) {
    let name = format!("model-{seed}");
    let (mut file, path) = create(store, directory, &name).await;
    let mut model: Vec<u8> = Vec::new();
    let mut dice = Dice::new(seed);
    let unit = unit_bytes(&file.limits()) as u64;
    for step in 0..60u64 {
        match dice.below(10) {
            0..=4 => {
                // Anywhere up to the end, as an appender that rewrites its tail or starts after a cut.
                let at_bytes = dice.below(model.len() as u64 / unit + 1) * unit;
                let bytes = vec![step as u8 + 1; ((dice.below(8) + 1) * unit) as usize];
                write(&file, at_bytes, &bytes).await;
                overwrite(&mut model, at_bytes as usize, &bytes);
            }
            5 => {
                let upto_bytes = dice.below(UNITS_MAX) * unit;
                file.reserve(upto_bytes).await.unwrap_or_else(|fault| panic!("reserve failed: {fault}"));
            }
            6 => {
                let len_bytes = dice.below(model.len() as u64 + 1);
                file.truncate(len_bytes).await.unwrap_or_else(|fault| panic!("truncate failed: {fault}"));
                model.truncate(len_bytes as usize);
            }
            7 => file.sync().await.unwrap_or_else(|fault| panic!("sync failed: {fault}")),
            8 => {
                drop(file);
                file = store.open(&path).await.unwrap_or_else(|fault| panic!("open failed: {fault}")).0;
            }
            _ => {
                let start_bytes = dice.below(model.len() as u64 + 1);
                let end_bytes = start_bytes + dice.below(model.len() as u64 - start_bytes + 1);
                let expected = &model[start_bytes as usize..end_bytes as usize];
                assert!(read(&file, start_bytes, end_bytes).await == expected, "seed {seed}, step {step}");
                if let Some(slice) = file.slice(start_bytes..end_bytes) {
                    let shown =
                        slice.to_bytes().unwrap_or_else(|error| panic!("a slice cannot be read: {error}"));
                    assert!(shown == expected, "seed {seed}, step {step}: slice");
                }
            }
        }
        assert!(read(&file, 0, model.len() as u64).await == model, "seed {seed}, step {step}");
    }
}

fn overwrite(model: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if model.len() < end {
        model.resize(end, 0);
    }
    model[at..end].copy_from_slice(bytes);
}
