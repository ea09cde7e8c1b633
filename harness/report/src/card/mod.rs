//! The terminal card: what a run found, in at most 24 lines.

mod stages;

use plimsoll_results::{Cost, ProcessCost, QuantileSet, RunDocument, Status, VerifyCounts};

use crate::strip::{LEGEND, strip};
use crate::text_table::wrapped;
use crate::units::{bytes, count, duration_ns, duration_us, exact, or_dash, three};

/// The card never has more lines.
pub const CARD_LINES_MAX: usize = 24;
const LABEL: usize = 12;
const COLUMN: usize = 10;
/// Warnings always get at least this many lines.
const WARNING_LINES_MIN: usize = 3;

/// Faults that get a line of their own.
const FAULTS_SHOWN: usize = 3;

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardStyle {
    /// Colours by escape sequences. The caller knows about terminals and `NO_COLOR`.
    pub color: bool,
    /// Columns of the terminal; lines are wrapped or cut to it, from 60 up.
    pub width: usize,
}

impl Default for CardStyle {
    fn default() -> Self {
        Self { color: false, width: 100 }
    }
}

/// Prints a run. Lines end in `\n`; there are at most [`CARD_LINES_MAX`], none
/// wider than the style says but the two paths, which stay whole.
pub fn card(document: &RunDocument, style: CardStyle) -> String {
    let width = style.width.max(60);
    let mut head = vec![Line::plain(title(document, width)).tone(status_tone(document.status))];
    head.extend(reasons(document, width));
    head.push(Line::plain(measured(document)));
    head.extend(labelled("durability", &document.durability.to_string(), width).into_iter().map(Line::plain));
    let mut body = vec![Line::plain(rate(document))];
    body.extend(latency(document, width));
    body.extend(stages(document, width));
    body.extend(cost(&document.cost));
    body.extend(verify(&document.verify, width));
    body.extend(faults(document, width));
    body.extend(payload(document, width));
    body.extend(comparisons(document));
    let tail: Vec<_> =
        paths(document).into_iter().map(|text| Line { whole: true, ..Line::plain(text) }).collect();
    // What is cut when there is too much is context, never the verdict, the verifier or a warning's start.
    let room = CARD_LINES_MAX.saturating_sub(head.len() + tail.len());
    let warnings = warnings(document, width, room.saturating_sub(body.len()).max(WARNING_LINES_MIN));
    while body.len() + warnings.len() > room {
        let least = body.iter().enumerate().max_by_key(|(_, line)| line.spare);
        match least.map(|(index, _)| index) {
            Some(index) => drop(body.remove(index)),
            None => break,
        }
    }
    let lines = head.into_iter().chain(body).chain(warnings).chain(tail).take(CARD_LINES_MAX);
    lines.map(|line| line.print(style.color, width)).collect()
}

/// One line, its colour, and how soon it is left out when there is no room (0: never before the others).
struct Line {
    text: String,
    tone: Tone,
    spare: u8,
    whole: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Bad,
    Caution,
    Faint,
}

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain, spare: 0, whole: false }
    }

    fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    fn spare(self, spare: u8) -> Self {
        Self { spare, ..self }
    }

    fn print(&self, color: bool, width: usize) -> String {
        // A path that is cut cannot be opened; the terminal may wrap it.
        let text = if self.whole { self.text.clone() } else { cut(self.text.trim_end(), width) };
        let code = match self.tone {
            Tone::Plain => return format!("{text}\n"),
            Tone::Good => "1;32",
            Tone::Bad => "1;31",
            Tone::Caution => "33",
            Tone::Faint => "2",
        };
        if color { format!("\x1b[{code}m{text}\x1b[0m\n") } else { format!("{text}\n") }
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn label(name: &str, rest: &str) -> String {
    format!("{name:<LABEL$}{rest}")
}

/// A labelled text wrapped at words, the label on its first line.
fn labelled(name: &str, text: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(LABEL).max(20);
    let label_of = |index| if index == 0 { name } else { "" };
    wrapped(text, room).lines().enumerate().map(|(index, line)| label(label_of(index), line)).collect()
}

fn title(document: &RunDocument, width: usize) -> String {
    let status = document.status.as_str();
    let left = format!("plimsoll {}", document.id);
    let gap = width.saturating_sub(left.chars().count() + status.len()).max(2);
    format!("{left}{}{status}", " ".repeat(gap))
}

fn status_tone(status: Status) -> Tone {
    if status == Status::Ok { Tone::Good } else { Tone::Bad }
}

/// Reasons of a run that is not ok stand at the top; remarks on a good one are warnings.
fn reasons(document: &RunDocument, width: usize) -> Vec<Line> {
    if document.status == Status::Ok {
        return Vec::new();
    }
    let lines = remarks(document).flat_map(|reason| labelled("why", reason, width));
    lines.take(3).map(|line| Line::plain(line).tone(Tone::Bad)).collect()
}

fn measured(document: &RunDocument) -> String {
    let arm = &document.arm;
    let system = [Some(arm.system.as_str()), arm.version.as_deref(), arm.backend.as_deref()];
    let system: Vec<_> = system.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    let system = if system.is_empty() { "an unknown system".to_owned() } else { system.join(" ") };
    let driver = arm.foreign_driver().map(|driver| format!(", driven by {driver}")).unwrap_or_default();
    let seconds = document.phases.iter().find(|phase| phase.name == "measure");
    let seconds = seconds
        .map(|phase| format!(", {} s each", three(phase.t1_ns.saturating_sub(phase.t0_ns) as f64 / 1e9)));
    let trials = document.trials.max(1);
    let plural = if trials == 1 { "trial" } else { "trials" };
    let text = format!(
        "{}{driver}; {}; {trials} {plural}{}",
        system,
        document.load.mode.caption(),
        seconds.unwrap_or_default().replace(" each", if trials == 1 { "" } else { " each" })
    );
    label("measured", &text)
}

fn rate(document: &RunDocument) -> String {
    let throughput = &document.throughput;
    let asked = document.load.target_rate.map(|rate| format!(" of {} asked", count(rate)));
    let text = format!(
        "{} records/s{}   {} MB/s payload   {} sent, {} unsent",
        or_dash(throughput.records_per_s, count),
        asked.unwrap_or_default(),
        or_dash(throughput.payload_mb_per_s, three),
        exact(document.load.sent),
        exact(document.load.unsent),
    );
    label("rate", &text)
}

fn latency(document: &RunDocument, width: usize) -> Vec<Line> {
    let quantiles = &document.latency.quantiles;
    let head =
        ["p50", "p90", "p99", "p99.9", "max", "records"].map(|name| format!("{name:>COLUMN$}")).concat();
    let mut lines = vec![
        Line::plain(label("latency", &head)).tone(Tone::Faint),
        Line::plain(row("response", &quantiles.response)),
        Line::plain(row("end to end", &quantiles.e2e)),
        Line::plain(row("service", &quantiles.service)).spare(2),
    ];
    if let Some(strip) = strip(&quantiles.response, width.saturating_sub(LABEL).min(COLUMN * 6)) {
        lines.push(Line::plain(label("", &strip)).spare(4));
        lines.push(Line::plain(label("", LEGEND)).tone(Tone::Faint).spare(5));
    }
    let hidden = [&quantiles.response, &quantiles.e2e].into_iter().any(hides_a_tail);
    if let Some(last) = lines.last_mut().filter(|line| hidden && line.spare == 5) {
        last.text += "   – too little to say";
    }
    lines
}

/// Where the mean response time goes, where somebody counted that.
fn stages(document: &RunDocument, width: usize) -> Option<Line> {
    let parts = stages::parts(document.stages.as_ref()?, width.saturating_sub(LABEL))?;
    Some(Line::plain(label("stages", &parts)).spare(3))
}

/// Something was measured, but not enough for p99 or p99.9.
fn hides_a_tail(set: &QuantileSet) -> bool {
    set.n > 0 && (set.p99_us.is_none() || set.p999_us.is_none())
}

fn row(name: &str, set: &QuantileSet) -> String {
    let values = [set.p50_us, set.p90_us, set.p99_us, set.p999_us, set.max_us];
    let cells = values.map(|value| format!("{:>COLUMN$}", or_dash(value, duration_us)));
    label(name, &format!("{}{:>COLUMN$}", cells.concat(), count(set.n as f64)))
}

fn cost(cost: &Cost) -> Vec<Line> {
    let head = ["user", "system", "both", "peak RSS"].map(|name| format!("{name:>COLUMN$}")).concat();
    let written = or_dash(cost.bytes_written_per_payload_byte, three);
    let per_gb = or_dash(cost.broker_cpu_s_per_gb, three);
    vec![
        Line::plain(label("CPU/record", &head)).tone(Tone::Faint),
        Line::plain(cost_row("broker", &cost.broker)),
        Line::plain(cost_row("client", &cost.client)),
        Line::plain(label(
            "disk",
            &format!("{written} bytes written per payload byte; broker {per_gb} CPU-s/GB"),
        )),
    ]
}

fn cost_row(name: &str, cost: &ProcessCost) -> String {
    let values = [cost.cpu_user_ns_per_record, cost.cpu_sys_ns_per_record, cost.cpu_ns_per_record()];
    let cells = values.map(|value| format!("{:>COLUMN$}", or_dash(value, duration_ns)));
    let memory = or_dash(cost.rss_peak_bytes, |peak| bytes(peak as f64));
    label(name, &format!("{}{memory:>COLUMN$}", cells.concat()))
}

fn verify(verify: &VerifyCounts, width: usize) -> Vec<Line> {
    if verify.seen == 0 && verify.expected == 0 {
        return vec![Line::plain(label("verified", "nothing was read back")).tone(Tone::Caution)];
    }
    let mut text = format!(
        "{} of {} seen: lost {}, duplicated {}, reordered {}, corrupted {}, phantom {}",
        exact(verify.seen),
        exact(verify.expected),
        exact(verify.lost),
        exact(verify.duplicated),
        exact(verify.reordered),
        exact(verify.corrupted),
        exact(verify.phantom),
    );
    if verify.unknown > 0 {
        text += &format!("; outcome unknown {}", exact(verify.unknown));
    }
    let tone = if verify.ok { Tone::Good } else { Tone::Bad };
    labelled("verified", &text, width).into_iter().map(|line| Line::plain(line).tone(tone)).collect()
}

/// One line for each of the first faults, and how many more there are.
fn faults(document: &RunDocument, width: usize) -> Vec<Line> {
    let told = document.faults.iter().take(FAULTS_SHOWN).map(|fault| {
        let asked = fault.asked.as_ref().map(|asked| format!(" ({asked})")).unwrap_or_default();
        let outage = duration_us(fault.unavailable_ms * 1e3);
        let ended = if fault.recovered { "unavailable" } else { "never recovered, unavailable" };
        let whole = match fault.isr_full_ms {
            Some(ms) => format!("in sync again after {}", duration_us(ms * 1e3)),
            None => "not in sync again".to_owned(),
        };
        let text = format!(
            "{} {}{asked}: {ended} {outage}, {whole}, lost {}",
            fault.kind,
            fault.target,
            exact(fault.lost)
        );
        let tone = if fault.recovered && fault.lost == 0 { Tone::Plain } else { Tone::Bad };
        (text, tone)
    });
    let more = document.faults.len().saturating_sub(FAULTS_SHOWN);
    let more = (more > 0).then(|| (format!("{more} more in run.json and the report"), Tone::Plain));
    let lines = told.chain(more).flat_map(|(text, tone)| {
        labelled("fault", &text, width).into_iter().map(move |line| Line::plain(line).tone(tone))
    });
    lines.collect()
}

fn payload(document: &RunDocument, width: usize) -> Vec<Line> {
    let Some(payload) = &document.payload else { return Vec::new() };
    let mut text = format!("{}, {} different records", payload.source, count(payload.unique_records as f64));
    if let Some(ratio) = payload.ratios.first() {
        let shown = |value| or_dash(value, three);
        let (with, without) = (shown(ratio.with_stamp), shown(ratio.without_stamp));
        text += &format!("; {} ratio {with} as sent, {without} without stamps", ratio.codec);
    }
    let lines = labelled("payload", &text, width);
    lines.into_iter().take(2).map(|line| Line::plain(line).spare(3)).collect()
}

fn comparisons(document: &RunDocument) -> Vec<Line> {
    let rows = document.comparisons.iter().take(2).map(|row| {
        let interval = row.low.zip(row.high).map(|(low, high)| format!(" [{}, {}]", three(low), three(high)));
        let pairs = row.pairs.len();
        let text = format!(
            "{}: {} × {}{} ({pairs} {})",
            row.metric,
            three(row.ratio),
            row.against,
            interval.unwrap_or_default(),
            if pairs == 1 { "pair" } else { "pairs" }
        );
        Line::plain(label("compared", &text)).spare(1)
    });
    rows.collect()
}

fn warnings(document: &RunDocument, width: usize, room: usize) -> Vec<Line> {
    let remarks = remarks(document).filter(|_| document.status == Status::Ok).map(str::to_owned);
    let verdicts = document.load.verdicts.iter().map(|verdict| format!("{verdict}: {}.", verdict.explain()));
    let all: Vec<String> =
        remarks.chain(verdicts).chain(document.warnings.iter().map(ToString::to_string)).collect();
    let mut lines: Vec<String> = Vec::new();
    for (index, text) in all.iter().enumerate() {
        let next = labelled("warning", text, width);
        let left = all.len() - index - 1;
        // The last line must stay free for the count of what did not fit.
        if lines.len() + next.len() + usize::from(left > 0) > room {
            lines.push(label("warning", &format!("{} more in run.json and the report", left + 1)));
            break;
        }
        lines.extend(next);
    }
    lines.into_iter().take(room).map(|line| Line::plain(line).tone(Tone::Caution)).collect()
}

/// Status reasons but those that only repeat a verdict, which is shown with its meaning anyway.
pub(crate) fn remarks(document: &RunDocument) -> impl Iterator<Item = &str> {
    let verdicts: Vec<String> = document.load.verdicts.iter().map(ToString::to_string).collect();
    let repeats = move |reason: &str| verdicts.iter().any(|verdict| reason.starts_with(verdict.as_str()));
    document.status_reasons.iter().map(String::as_str).filter(move |reason| !repeats(reason))
}

fn paths(document: &RunDocument) -> Vec<String> {
    let report = document.report.as_ref().map(|path| label("report", path));
    let bundle = document.bundle.as_ref().map(|path| label("bundle", path));
    report.into_iter().chain(bundle).collect()
}
