//! Measures how many decisions a second one core makes, over lines of every kind and fifty rules.
//! `cargo run --release -p deskhand-policy --example bench`

#![allow(clippy::print_stdout, reason = "it is a program that reports")]

use std::time::{Duration, Instant};

use deskhand_policy::{Rules, decide, read};
use deskhand_protocol::{
    Action, Timestamp,
    policy::{Facts, ProgramPath, WorkingDir},
    workspace::Workspace,
};

const LINES: &[&str] = &[
    "ls -la",
    "cargo test --all && cargo clippy -- -D warnings",
    "grep -r 'needle' src | sort | uniq -c | sort -rn | head -20",
    "for f in *.txt; do wc -l \"$f\"; done",
    "if [ -f x ]; then cat x; else echo \"$(date) none\"; fi",
    "cat <<'EOF' > file\nsome text\nEOF\nls",
    "timeout 30 env A=b nice python3 -m pytest -q tests/",
    "bash -c 'cd sub && make -j4 2>&1 | tee log'",
    "find . -name '*.rs' -exec grep -l unsafe {} +",
    "$SHELL -c \"$X\"",
    "echo 'not closed",
];

fn main() {
    let at = |program: &str| {
        Some(ProgramPath {
            found: format!("/usr/bin/{program}").into(),
            canonical: format!("/usr/bin/{program}").into(),
        })
    };
    let text: String = (0..50)
        .map(|n| {
            format!(
                "[[rule]]\nid = \"r{n}\"\nprogram = \"p{n}\"\nargs = [\"a|b\", \"*\"]\n\
                 options = [\"-x\"]\nverdict = \"deny\"\nreason = \"r\"\n"
            )
        })
        .collect();
    let rules = Rules::parse(&text, at).expect("the rules are those above");
    let workspace = Workspace {
        name: "w".into(),
        path: "/w".into(),
        level: Default::default(),
        added_at: Timestamp::UNIX_EPOCH,
    };
    let working_dir = WorkingDir::Within {
        dir: "/w/sub".into(),
        workspace,
    };
    let facts = Facts::new(Timestamp::UNIX_EPOCH, working_dir);
    let actions: Vec<Action> = LINES
        .iter()
        .map(|line| {
            let json = serde_json::json!({"type": "shell", "command": line});
            serde_json::from_value(json).expect("it is a shell action")
        })
        .collect();
    let (begun, mut n) = (Instant::now(), 0_u64);
    while begun.elapsed() < Duration::from_secs(3) {
        for action in &actions {
            let reading = read(action);
            let judged = decide(action.clone(), reading, &facts, &rules);
            std::hint::black_box(judged);
            n += 1;
        }
    }
    let per_second = n as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{per_second:.0} decisions a second on one core, over {} lines and 50 rules",
        LINES.len()
    );
}
