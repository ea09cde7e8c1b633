//! Timing of one codec, in rounds.

use std::hint::black_box;
use std::time::Instant;

use plimsoll_records::{Batch, Codec, Compressor, Decompressor};
use rustix::time::{ClockId, clock_gettime};

use crate::{CodecsError, Speed};

/// CPU time of this thread in nanoseconds.
fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Wall and CPU nanoseconds of one pass.
#[derive(Debug, Clone, Copy)]
struct Pass {
    wall_ns: u64,
    cpu_ns: u64,
}

fn timed<E>(work: impl FnOnce() -> Result<(), E>) -> Result<Pass, E> {
    let (wall, cpu) = (Instant::now(), thread_cpu_ns());
    work()?;
    let cpu_ns = thread_cpu_ns() - cpu;
    Ok(Pass { wall_ns: u64::try_from(wall.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1), cpu_ns })
}

/// One codec over one set of batches, with contexts of its own that stay from round to round.
#[derive(Debug)]
pub(crate) struct Contest {
    codec: Codec,
    /// The same batches before and after compression.
    batches: Vec<(Batch, Batch)>,
    records: u64,
    compressor: Compressor,
    decompressor: Decompressor,
    out: Vec<u8>,
    compress: Vec<Pass>,
    decompress: Vec<Pass>,
}

impl Contest {
    /// `batches` are those of the same records without and with the codec.
    pub(crate) fn new(codec: Codec, batches: Vec<(Batch, Batch)>, records: u64) -> Contest {
        let largest = batches.iter().map(|(plain, _)| plain.records_bytes().len()).max().unwrap_or(0);
        Contest {
            codec,
            batches,
            records,
            compressor: Compressor::new(),
            decompressor: Decompressor::new(),
            out: Vec::with_capacity(2 * largest),
            compress: Vec::new(),
            decompress: Vec::new(),
        }
    }

    /// Compresses and decompresses every batch once, and does not count it: contexts are made, memory is touched.
    pub(crate) fn warm_up(&mut self) -> Result<(), CodecsError> {
        self.compress_all()?;
        self.decompress_all().map(drop)
    }

    /// Compresses and decompresses every batch once.
    pub(crate) fn round(&mut self) -> Result<(), CodecsError> {
        let compress = self.compress_all()?;
        let decompress = self.decompress_all()?;
        self.compress.push(compress);
        self.decompress.push(decompress);
        Ok(())
    }

    fn compress_all(&mut self) -> Result<Pass, CodecsError> {
        let Contest { codec, batches, compressor, out, .. } = self;
        timed(|| {
            batches.iter().try_for_each(|(plain, _)| {
                out.clear();
                let done = compressor.compress(*codec, plain.records_bytes(), out);
                black_box(&out);
                done.map_err(|error| failed(*codec, error.to_string()))
            })
        })
    }

    /// Without a codec, records are copied: a decoder too leaves them in memory of its own.
    fn decompress_all(&mut self) -> Result<Pass, CodecsError> {
        let Contest { codec, batches, decompressor, out, .. } = self;
        timed(|| {
            batches.iter().try_for_each(|(plain, packed)| {
                let want = plain.records_bytes().len();
                if *codec == Codec::None {
                    out.clear();
                    out.extend_from_slice(packed.records_bytes());
                    black_box(&out);
                    return Ok(());
                }
                let got = decompressor.decompress(codec.id().id(), packed.records_bytes(), want);
                let got = black_box(got.map_err(|error| failed(*codec, error.to_string()))?).len();
                if got == want {
                    Ok(())
                } else {
                    Err(failed(*codec, format!("{got} bytes came back of {want}")))
                }
            })
        })
    }

    /// Medians and quartiles; `None` before the first round.
    pub(crate) fn speed(&self) -> Option<Speed> {
        let bytes: usize = self.batches.iter().map(|(plain, _)| plain.records_bytes().len()).sum();
        let mb_per_s = |passes: &[Pass]| {
            quartiles(passes.iter().map(|pass| bytes as f64 * 1e3 / pass.wall_ns as f64).collect())
        };
        let cpu_ns = |passes: &[Pass]| {
            let all = passes.iter().map(|pass| pass.cpu_ns as f64 / self.records as f64);
            quartiles(all.collect()).map(|[_, median, _]| median)
        };
        let [compress_low_mb_per_s, compress_mb_per_s, compress_high_mb_per_s] = mb_per_s(&self.compress)?;
        let [decompress_low_mb_per_s, decompress_mb_per_s, decompress_high_mb_per_s] =
            mb_per_s(&self.decompress)?;
        let (compress_cpu_ns_per_record, decompress_cpu_ns_per_record) =
            (cpu_ns(&self.compress)?, cpu_ns(&self.decompress)?);
        Some(Speed {
            rounds: self.compress.len() as u64,
            compress_mb_per_s,
            compress_low_mb_per_s,
            compress_high_mb_per_s,
            decompress_mb_per_s,
            decompress_low_mb_per_s,
            decompress_high_mb_per_s,
            compress_cpu_ns_per_record,
            decompress_cpu_ns_per_record,
            cpu_ns_per_record: compress_cpu_ns_per_record + decompress_cpu_ns_per_record,
        })
    }
}

fn failed(codec: Codec, what: String) -> CodecsError {
    CodecsError::RoundTrip { codec: codec.to_string(), what }
}

/// First quartile, median and third quartile, interpolated between neighbours; `None` of nothing.
fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| {
        let place = share * last as f64;
        let (lower, part) = (place.floor() as usize, place.fract());
        let upper = (lower + 1).min(last);
        Some(values.get(lower)? * (1.0 - part) + values.get(upper)? * part)
    };
    Some([at(0.25)?, at(0.5)?, at(0.75)?])
}

#[cfg(test)]
mod tests {
    use super::quartiles;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles_and_half_lies_between_the_quartiles() {
        assert_eq!(quartiles(vec![]), None);
        assert_eq!(quartiles(vec![9.0]), Some([9.0, 9.0, 9.0]));
        assert_eq!(quartiles(vec![9.0, 1.0, 4.0, 2.0]), Some([1.75, 3.0, 5.25]));
        assert_eq!(quartiles(vec![5.0, 1.0, 4.0, 2.0, 3.0]), Some([2.0, 3.0, 4.0]));
    }
}
