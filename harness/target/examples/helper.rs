//! Serves the null target or the floor program by hand, as the harness's hidden verb does:
//! `cargo run --release -p plimsoll-target --example helper -- null 127.0.0.1:9092 0`

fn main() -> Result<(), plimsoll_target::HelperError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    plimsoll_target::helper(&arguments)
}
