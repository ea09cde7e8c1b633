//! Timing of one codec, in rounds.

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
    /// Record sections before and after compression.
    sections: Vec<(Batch, Batch)>,
    records: u64,
    compressor: Compressor,
    decompressor: Decompressor,
    out: Vec<u8>,
    compress: Vec<Pass>,
    decompress: Vec<Pass>,
}

impl Contest {
    /// `sections` are batches of the same records without and with the codec.
    pub(crate) fn new(codec: Codec, sections: Vec<(Batch, Batch)>, records: u64) -> Contest {
        let largest = sections.iter().map(|(plain, _)| plain.records_bytes().len()).max().unwrap_or(0);
        Contest {
            codec,
            sections,
            records,
            compressor: Compressor::new(),
            decompressor: Decompressor::new(),
            out: Vec::with_capacity(2 * largest),
            compress: Vec::new(),
            decompress: Vec::new(),
        }
    }

    /// Compresses and decompresses every batch once.
    pub(crate) fn round(&mut self) -> Result<(), CodecsError> {
        let Contest { codec, sections, compressor, decompressor, out, .. } = self;
        let failed = |what: String| CodecsError::RoundTrip { codec: codec.to_string(), what };
        let compress = timed(|| {
            sections.iter().try_for_each(|(plain, _)| {
                out.clear();
                compressor.compress(*codec, plain.records_bytes(), out).map_err(|e| failed(e.to_string()))
            })
        })?;
        let decompress = timed(|| {
            sections.iter().try_for_each(|(plain, packed)| {
                let want = plain.records_bytes().len();
                let got = decompressor.decompress(codec.id().id(), packed.records_bytes(), want);
                let got = got.map_err(|e| failed(e.to_string()))?.len();
                if got == want { Ok(()) } else { Err(failed(format!("{got} bytes came back of {want}"))) }
            })
        })?;
        self.compress.push(compress);
        self.decompress.push(decompress);
        Ok(())
    }

    /// Wall time of all rounds so far.
    pub(crate) fn spent_ns(&self) -> u64 {
        self.compress.iter().chain(&self.decompress).map(|pass| pass.wall_ns).sum()
    }

    /// Medians; `None` before the first round.
    pub(crate) fn speed(&self) -> Option<Speed> {
        let bytes: usize = self.sections.iter().map(|(plain, _)| plain.records_bytes().len()).sum();
        let mb_per_s = |passes: &[Pass]| {
            median(passes.iter().map(|pass| bytes as f64 * 1e3 / pass.wall_ns as f64).collect())
        };
        let cpu_ns = |passes: &[Pass]| {
            median(passes.iter().map(|pass| pass.cpu_ns as f64 / self.records as f64).collect())
        };
        Some(Speed {
            rounds: self.compress.len() as u64,
            compress_mb_per_s: mb_per_s(&self.compress)?,
            decompress_mb_per_s: mb_per_s(&self.decompress)?,
            compress_cpu_ns_per_record: cpu_ns(&self.compress)?,
            decompress_cpu_ns_per_record: cpu_ns(&self.decompress)?,
        })
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().checked_sub(1)? / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9.0, 1.0, 4.0]), Some(4.0));
        assert_eq!(median(vec![9.0, 1.0, 4.0, 2.0]), Some(3.0));
    }
}
