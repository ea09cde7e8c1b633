//! Fuzz targets: functions that take any bytes and must return.
//!
//! Each parser of bytes from outside has its targets in a module here: [`records`] (batches and codecs),
//! [`wire`] (frames, requests, responses), [`side_files`] (the small files of a log), [`recovery`] (segments
//! on opening), [`config`] (properties and settings) and [`metadata`] (the controller's log and frames). A file in
//! `tests/` per module makes two tests of each target with [`fuzz_targets!`]: one feeds it bytes from
//! nowhere, the other damages well-formed [`Seeds`] with [`Damage`], which reaches far deeper.
//!
//! Under `cargo test` both are bounded; `BOLERO_RANDOM_ITERATIONS` and `BOLERO_RANDOM_TEST_TIME_MS` set other
//! bounds (for a run by the clock alone, set both and the first very high), and `cargo test -- --nocapture`
//! says how many inputs were tried. Under `cargo bolero test` they run until stopped.
//!
//! A target checks properties and not only the absence of panics: what was accepted can be written and read
//! again, memory stays in proportion to the input ([`bounded`]), nothing corrupt is served. This crate must
//! not know how the code under test is used.

mod allocation;
pub mod config;
mod damage;
pub mod metadata;
pub mod records;
pub mod recovery;
mod runtime;
mod scratch;
mod seeds;
mod segments;
pub mod side_files;
mod tally;
pub mod wire;

pub use allocation::bounded;
pub use damage::Damage;
pub use seeds::{Seeds, golden_batches};
pub use tally::Tally;

/// What is tried: made by [`fuzz_targets!`].
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Takes any bytes and must return.
    pub run: fn(&[u8]),
    /// Well-formed inputs.
    pub seeds: fn() -> Seeds,
    /// Inputs for each test, unless a bound from outside says otherwise.
    pub iterations: usize,
}

/// Makes a module with two tests of each target: `name => function, seeds;`, or with a number of inputs for
/// each test, `name => function, seeds, iterations;`, where the usual 1000 would take too long.
///
/// The calling crate needs `bolero`. `seeds` is an expression of type [`Seeds`], evaluated once per test. Beside each
/// module stands a function of its name, which gives the [`Target`].
#[macro_export]
macro_rules! fuzz_targets {
    ($($name:ident => $target:expr, $seeds:expr $(, $iterations:expr)?;)*) => {$(
        fn $name() -> $crate::Target {
            $crate::Target { run: $target, seeds: || $seeds, iterations: [$($iterations,)? 1000][0] }
        }

        mod $name {
            #[test]
            fn bytes_from_nowhere() {
                let $crate::Target { run, iterations, .. } = super::$name();
                let tally = $crate::Tally::new(concat!(stringify!($name), "::bytes_from_nowhere"));
                bolero::check!().with_iterations(iterations).for_each(|bytes| {
                    tally.count();
                    run(bytes);
                });
            }

            #[test]
            fn damaged_seeds() {
                let $crate::Target { run, seeds, iterations } = super::$name();
                let tally = $crate::Tally::new(concat!(stringify!($name), "::damaged_seeds"));
                let seeds = seeds();
                seeds.iter().for_each(run);
                bolero::check!()
                    .with_iterations(iterations)
                    .with_type::<(u16, Vec<(u32, u8)>, Option<u32>)>()
                    .for_each(|(seed, bytes, cut)| {
                        tally.count();
                        let damage = $crate::Damage { seed: *seed, bytes, cut: *cut };
                        run(&damage.apply(&seeds));
                    });
            }
        }
    )*};
}
