//! Fuzz targets: functions that take any bytes and must return.
//!
//! [`records`] holds the targets for one crate; a crate that parses bytes from outside gets a module here
//! (wire frames, index files, properties) and a file in `tests/`, where [`fuzz_targets!`] makes two tests of
//! each target: one feeds it bytes from nowhere, the other damages well-formed [`Seeds`] with [`Damage`],
//! which reaches far deeper. Under `cargo test` both are bounded; under `cargo bolero test` they run until
//! stopped.
//!
//! A target checks properties and not only the absence of panics. This crate must not know how the code
//! under test is used.

mod damage;
pub mod records;
mod seeds;

pub use damage::Damage;
pub use seeds::{Seeds, golden_batches};

/// Makes a module with two tests of each target: `name => function, seeds;`.
///
/// The calling crate needs `bolero`. `seeds` is an expression of type [`Seeds`], evaluated once per test.
#[macro_export]
macro_rules! fuzz_targets {
    ($($name:ident => $target:expr, $seeds:expr;)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "targets and seeds may be written without a path")]
            use super::*;

            const ITERATIONS: usize = 1000;

            #[test]
            fn bytes_from_nowhere() {
                let target: fn(&[u8]) = $target;
                bolero::check!().with_iterations(ITERATIONS).for_each(|bytes| target(bytes));
            }

            #[test]
            fn damaged_seeds() {
                let target: fn(&[u8]) = $target;
                let seeds: $crate::Seeds = $seeds;
                seeds.iter().for_each(target);
                bolero::check!()
                    .with_iterations(ITERATIONS)
                    .with_type::<(u16, Vec<(u32, u8)>, Option<u32>)>()
                    .for_each(|(seed, bytes, cut)| {
                        let damage = $crate::Damage { seed: *seed, bytes, cut: *cut };
                        target(&damage.apply(&seeds));
                    });
            }
        }
    )*};
}
