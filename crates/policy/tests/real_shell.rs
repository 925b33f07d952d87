//! What was judged is what a real shell starts: lines of every kind, run by `/bin/sh` with a `PATH` of
//! programs that write down what they were started with.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use deskhand_policy::command_line::{
    self, Role, Shape,
    lexer::{self, Operator},
};
use deskhand_protocol::Command;
use proptest::prelude::*;

/// The programs on `PATH`; nothing else is.
const PROGRAMS: &[&str] = &["aa", "bb", "cc", "dd"];

/// Between the words of a record, and after it: what no line holds.
const BETWEEN: char = '\u{1f}';
const END: char = '\u{1e}';

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::create_dir(dir.path().join("cwd")).unwrap();
        for name in PROGRAMS {
            let path = dir.path().join("bin").join(name);
            // One write each, so that those of a pipeline do not mix; too many end the line.
            let script = format!(
                "#!/bin/sh\nm={name}\nfor x; do m=\"$m{BETWEEN}$x\"; done\n\
                 printf '%s{END}' \"$m\" >> \"$LOG\"\n\
                 [ \"$(wc -c < \"$LOG\")\" -lt 20000 ]\n"
            );
            // Its own tools by their absolute names: they are not on this PATH.
            let script = script.replace("$(wc", "$(/usr/bin/wc");
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { dir }
    }

    /// Runs words and returns what was started, in no order. None when it did not end in time.
    fn started(&self, argv: &[String]) -> Option<Vec<Vec<String>>> {
        // One for each line: what a line leaves in the background may write later.
        static N_LINES: AtomicU64 = AtomicU64::new(0);
        let n = N_LINES.fetch_add(1, Ordering::Relaxed);
        let log = self.dir.path().join(format!("log-{n}"));
        fs::write(&log, "").unwrap();
        let program = match argv[0].contains('/') {
            true => PathBuf::from(&argv[0]),
            false => self.dir.path().join("bin").join(&argv[0]),
        };
        let child = Process::new(program)
            .args(&argv[1..])
            .env_clear()
            .env("PATH", self.dir.path().join("bin"))
            .env("LOG", &log)
            .current_dir(self.dir.path().join("cwd"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Ok(mut child) = child {
            let begun = Instant::now();
            while child.try_wait().unwrap().is_none() {
                if begun.elapsed() > Duration::from_secs(10) {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    return None;
                }
                #[expect(
                    clippy::disallowed_methods,
                    reason = "std waits for a child without a deadline only: its end is polled"
                )]
                std::thread::sleep(Duration::from_micros(500));
            }
        }
        Some(read(&log))
    }
}

fn read(log: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(log).unwrap();
    let mut records: Vec<Vec<String>> = text
        .split_terminator(END)
        .map(|record| record.split(BETWEEN).map(str::to_owned).collect())
        .collect();
    records.sort();
    records
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(Bench::new)
}

/// Returns the commands of a script that are reached when every program succeeds.
fn reached(script: &lexer::Script) -> Vec<Vec<String>> {
    let (mut reached, mut skips) = (Vec::new(), false);
    for (i, words) in script.commands.iter().enumerate() {
        match i.checked_sub(1).map(|before| script.operators[before]) {
            None | Some(Operator::Then | Operator::And) => skips = false,
            Some(Operator::Or) => skips = true,
            // A pipeline is reached as a whole.
            Some(Operator::Pipe) => {}
        }
        if !skips && PROGRAMS.contains(&words[0].as_str()) {
            reached.push(words.clone());
        }
    }
    reached.sort();
    reached
}

fn fragment() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        8 => proptest::sample::select(PROGRAMS).prop_map(str::to_owned),
        2 => Just("' '".to_owned()),
        1 => "[a-z0-9_./:=@%+,-]{1,4}",
        1 => "'[^'\u{1e}\u{1f}\0]{0,6}'",
        1 => "\"[a-z $`!\\\\*;&|]{0,4}\"",
        1 => proptest::sample::select(vec![
            "''", "\"\"", "'$aa'", "'`bb`'", "'a b'", "\"it's\"", "'a'\"b\"", "--", "-n", "x=1", "é",
            "\u{a0}", "\r", "\\", "$aa", "$(bb)", "`cc`", "*", "~", "{aa,bb}", "#", "!", "if", "then",
            "fi", "{", "}", "(", ")", "<", ">", ">>", "<<E", "2>&1", "&>f", "aa()", "for", "do", "done",
            "in", "case", "esac", "while", "exec", "eval", "env", "command", "true", "false", "echo",
            "printf", "cd", ".", ":", "test", "=aa", "aa=bb", "'aa", "\"bb", "$((1))", "${x}", "[[", "]]",
        ])
        .prop_map(str::to_owned),
    ];
    let between = proptest::sample::select(vec![
        " ", " ", " ", " ", " && ", " || ", "; ", " | ", "\n", "&&", ";", "|", "\t", " & ", "",
    ]);
    (words, between).prop_map(|(word, between)| format!("{word}{between}"))
}

fn line() -> impl Strategy<Value = String> {
    proptest::collection::vec(fragment(), 1..10).prop_map(|parts| parts.concat())
}

/// Lines of the strict language only, so that most cases are accepted.
fn plain_line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        3 => "[a-z0-9_./:=@%+,-]{0,3}[a-z]",
        1 => "'[^'\u{0}-\u{8}\u{b}-\u{1f}\u{7f}-\u{9f}\u{a0}\u{ad}]{0,8}'",
        1 => "\"[ a-z';|&<>(){}*?~#]{0,8}\"",
    ];
    let command = (
        proptest::sample::select(PROGRAMS),
        proptest::collection::vec(word, 0..4),
    )
        .prop_map(|(program, words)| format!("{program} {}", words.join(" ")));
    let operator = proptest::sample::select(vec![" && ", " || ", "; ", " | ", "\n", "&&\n"]);
    (
        command.clone(),
        proptest::collection::vec((operator, command), 0..5),
    )
        .prop_map(|(first, rest)| {
            rest.into_iter().fold(first, |line, (operator, command)| {
                format!("{line}{operator}{command}")
            })
        })
}

/// Whatever the strict lexer accepts starts exactly the programs that were judged, with exactly the
/// words that were judged.
fn check_strict(line: &str) -> Result<(), TestCaseError> {
    let Ok(script) = lexer::lex(line) else {
        return Ok(());
    };
    let reading = command_line::read(&Command::Line(line.to_owned()));
    let named: Vec<&str> = reading
        .found
        .iter()
        .filter(|found| found.role == Role::Named && PROGRAMS.contains(&&*found.program))
        .map(|found| found.program.as_str())
        .collect();
    // Wrappers are not among the programs here, and do not start what they wrap.
    let has_wrapper = reading
        .found
        .iter()
        .any(|found| found.role == Role::Wrapper);
    let written: Vec<&str> = script
        .commands
        .iter()
        .map(|words| words[0].as_str())
        .filter(|name| PROGRAMS.contains(name))
        .collect();
    prop_assert!(has_wrapper || named == written, "{named:?} {written:?}");
    let first_only = script
        .commands
        .iter()
        .all(|words| PROGRAMS.contains(&words[0].as_str()));
    if first_only && let Some(started) = bench().started(&reading.canonical) {
        prop_assert_eq!(started, reached(&script), "{:?}", reading.canonical);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_accepted_line_starts_exactly_what_was_judged(line in plain_line()) {
        check_strict(&line)?;
    }

    #[test]
    fn any_line_that_is_accepted_starts_exactly_what_was_judged(line in line()) {
        check_strict(&line)?;
    }

    /// What is not plain, but is read without a doubt, starts nothing that was not found.
    #[test]
    fn no_line_starts_what_was_not_found(line in line()) {
        let reading = command_line::read(&Command::Line(line.clone()));
        // What loops for ever, or ends this test's own shell, is not what this is about.
        let tame = !["while", "cd"].iter().any(|word| line.contains(word));
        if tame
            && !matches!(reading.shape, Shape::Undecided(_) | Shape::Unreadable(_))
            && let Some(started) = bench().started(&["/bin/sh".into(), "-c".into(), line.clone()])
        {
            for record in started {
                let found = reading.found.iter().any(|found| found.program == record[0]);
                prop_assert!(found, "{:?} was started by {:?}", record, line);
            }
        }
    }
}
