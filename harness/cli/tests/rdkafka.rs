//! librdkafka from outside: as a driver, and as a broker; or the word that this build has neither.

mod support;

use support::{code, document, output_of, text};

#[cfg(not(feature = "rdkafka"))]
#[test]
fn without_the_feature_it_says_how_to_build_it() {
    for asked in [&["--driver", "rdkafka", "--set", "produce.acks=all"][..], &["--target", "rdkafka-mock"]] {
        let output = output_of(&[&["run", "hello", "--dry-run"], asked].concat());
        let stderr = text(&output.stderr);
        assert_eq!(code(&output), 64, "{asked:?}: {stderr}");
        assert!(stderr.contains("cargo build --release --features rdkafka"), "{asked:?}: {stderr}");
    }
}

#[test]
fn what_librdkafka_cannot_do_is_a_usage_error_that_names_the_key() {
    for (set, key) in [("produce.acks=1", "produce.idempotent"), ("produce.codec=zstd", "produce.codec")] {
        let output = output_of(&["run", "hello", "--json", "--driver", "rdkafka", "--set", set]);
        let failure = document(&output);
        assert_eq!((code(&output), &failure["status"]), (64, &"failed".into()), "{set}");
        assert!(failure["status_reasons"].to_string().contains(key), "{set}: {failure}");
    }
    let unknown = output_of(&["run", "hello", "--dry-run", "--driver", "java"]);
    assert!(code(&unknown) == 64 && text(&unknown.stderr).contains("plimsoll or rdkafka"));
}

#[cfg(feature = "rdkafka")]
mod built {
    use std::path::Path;

    use serde_json::Value;

    use super::support::{code, document, plimsoll};

    const SHORT: &[&str] = &[
        "run",
        "hello",
        "--json",
        "--no-ceiling",
        "--set",
        "produce.acks=all",
        "--set",
        "load.rate=1_000/s",
        "--set",
        "phases.warmup=0s",
        "--set",
        "phases.warmup_max=0s",
        "--set",
        "phases.measure=2s",
    ];

    fn run(runs: &Path, further: &[&str]) -> Value {
        let mut command = plimsoll(&[SHORT, further].concat());
        let output = command.arg("--output").arg(runs).arg("--data-dir").arg(runs).output().expect("runs");
        let run = document(&output);
        assert_eq!((code(&output), &run["status"]), (0, &Value::from("ok")), "{further:?}: {run:#}");
        let verify = &run["verify"];
        assert_eq!((&verify["ok"], &verify["lost"]), (&true.into(), &0.into()), "{verify}");
        assert!(verify["acked"].as_u64() > Some(1_000) && verify["seen"] == verify["acked"], "{verify}");
        run
    }

    #[test]
    fn both_drivers_drive_both_brokers_and_the_result_says_which() {
        let runs = tempfile::tempdir().expect("a directory");
        for driver in ["plimsoll", "rdkafka"] {
            for (target, system) in [("rdkafka-mock", "rdkafka-mock"), ("plimsoll", "plimsoll")] {
                let run = run(runs.path(), &["--driver", driver, "--target", target]);
                let arm = &run["arm"];
                assert_eq!(arm["system"], system, "{arm}");
                let said = arm["driver"].as_str().expect("a driver");
                let other = driver == "rdkafka";
                assert_eq!(said.starts_with("librdkafka 2."), other, "{said}");
                assert_eq!(run["load"]["records_resent"].is_null(), !other, "{}", run["load"]);
                assert_eq!(run["load"]["retries"].is_null(), other, "{}", run["load"]);
                let bundle = Path::new(run["bundle"].as_str().expect("a path"));
                let lock = std::fs::read_to_string(bundle.join("workload.lock.toml")).expect("a lock");
                assert!(lock.contains(&format!("driver = \"{driver}\"")), "{lock}");
                let survives = &run["durability"]["survives"];
                assert_eq!(survives.is_null(), target == "rdkafka-mock", "{survives}");
            }
        }
    }
}
