//! A table of command lines: how each is read, which programs it names, and what comes of it at every
//! level, with and without a rule that forbids a program.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use deskhand_policy::{
    Rules,
    command_line::{self, Shape},
    decide, read,
};
use deskhand_protocol::{
    Action, Command, Timestamp,
    policy::{Facts, Level, ProgramPath, Verdict, WorkingDir},
    task::ShellAction,
    workspace::Workspace,
};

/// How a line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Simple,
    Complex,
    Undecided,
    Unreadable,
}
use Kind::{Complex as C, Simple as S, Undecided as U, Unreadable as N};

/// A line, how it is read, and the programs it names.
const LINES: &[(&str, Kind, &str)] = &[
    // Plain words and quoting.
    ("ls", S, "ls"),
    ("ls -la", S, "ls"),
    ("  ls\t-la  ", S, "ls"),
    ("cargo test --all -p x", S, "cargo"),
    ("./script.sh a b", S, "./script.sh"),
    ("/usr/bin/make -j4", S, "/usr/bin/make"),
    ("echo 'it is'", S, "echo"),
    ("echo \"it is\"", S, "echo"),
    ("echo 'a'\"b\"c", S, "echo"),
    ("'ls' -la", S, "ls"),
    ("\"ls\" -la", S, "ls"),
    ("l's'", S, "ls"),
    ("l\"\"s", S, "ls"),
    ("echo ''", S, "echo"),
    ("echo '$HOME `id` $(id) * ? ~'", S, "echo"),
    ("grep -r 'a|b' src", S, "grep"),
    ("git log --format='%h %s'", S, "git"),
    ("echo 'ü € 世界'", S, "echo"),
    ("a --key=value b=c", S, "a"),
    ("echo 'two\nlines'", S, "echo"),
    ("user@host", S, "user@host"),
    ("python3 -m pytest", S, "python3"),
    ("npm run build", S, "npm"),
    ("''", N, ""),
    ("''ls", S, "ls"),
    // Operators.
    ("ls && wc", S, "ls wc"),
    ("ls || wc", S, "ls wc"),
    ("ls ; wc", S, "ls wc"),
    ("ls;wc;", S, "ls wc"),
    ("ls | wc -l | sort", S, "ls wc sort"),
    ("ls\nwc\n", S, "ls wc"),
    ("ls &&\n wc", S, "ls wc"),
    ("cd sub && make", S, "cd make"),
    ("cd sub", S, "cd"),
    ("true && echo x", S, "true echo"),
    ("ls &", C, "ls"),
    ("ls & wc", C, "ls wc"),
    ("ls |& wc", C, "ls wc"),
    ("ls &&", N, ""),
    ("&& ls", N, ""),
    ("ls | | wc", N, ""),
    ("ls ;; wc", N, ""),
    ("; ls", N, ""),
    ("ls && || wc", N, ""),
    // Quotes and brackets that do not close.
    ("echo 'a", N, ""),
    ("echo \"a", N, ""),
    ("echo `ls", N, ""),
    ("echo $(ls", N, ""),
    ("(ls", N, ""),
    ("ls)", N, ""),
    ("{ ls;", N, ""),
    ("ls \\", N, ""),
    ("echo ${x", N, ""),
    // Characters that cannot be seen.
    ("ls\r", N, ""),
    ("ls\rrm", N, ""),
    ("ls\0", N, ""),
    ("ls\u{a0}-la", N, ""),
    ("ls\u{200b}", N, ""),
    ("echo 'a\u{202e}b'", N, ""),
    ("echo \u{2066}x\u{2069}", N, ""),
    ("ls\u{feff}", N, ""),
    ("echo \u{1b}[31m", N, ""),
    ("echo '\u{7}'", N, ""),
    ("echo '\u{7f}'", N, ""),
    ("ls\u{b}wc", N, ""),
    ("ls\u{c}wc", N, ""),
    ("ls\u{85}wc", N, ""),
    ("ls\u{2028}wc", N, ""),
    ("echo '\u{e0041}'", N, ""),
    ("ls\u{3000}x", N, ""),
    // Substitutions.
    ("echo $(date)", C, "echo date"),
    ("echo `date`", C, "echo date"),
    ("echo \"$(date)\"", C, "echo date"),
    ("echo \"`date`\"", C, "echo date"),
    ("echo \"a $(b \"$(c)\") d\"", C, "echo b c"),
    ("echo `a \\`b\\``", C, "echo a b"),
    ("diff <(ls a) <(ls b)", C, "diff ls"),
    ("tee >(wc)", C, "tee wc"),
    ("$(echo ls) -la", U, "echo"),
    ("`echo ls` -la", U, "echo"),
    ("l$(echo s)", U, "echo"),
    ("echo $((1+2))", C, "echo"),
    ("echo $((1+$(ls)))", C, "echo ls"),
    ("echo $( (ls) )", C, "echo ls"),
    ("echo $((ls); wc)", C, "echo ls wc"),
    ("((i=1))", U, ""),
    // Variables.
    ("echo $HOME", C, "echo"),
    ("echo \"${HOME}/x\"", C, "echo"),
    ("echo ${x:-$(ls)}", C, "echo ls"),
    ("$SHELL", U, ""),
    ("\"$CMD\" x", U, ""),
    ("${x}ls", U, ""),
    ("$1", U, ""),
    ("$@", U, ""),
    ("l${x}s", U, ""),
    ("$'ls'", U, ""),
    ("$\"ls\"", U, ""),
    ("echo $'a\\'b'", C, "echo"),
    // Globs, braces, tildes.
    ("ls *", C, "ls"),
    ("ls ?.txt", C, "ls"),
    ("ls [ab]*", C, "ls"),
    ("/bin/l?", U, ""),
    ("/???/ls", U, ""),
    ("*", U, ""),
    ("{ls,-la}", U, ""),
    ("echo {a,b}", C, "echo"),
    ("ls ~", C, "ls"),
    ("ls ~root/x", C, "ls"),
    ("~/bin/x", U, ""),
    ("=ls", U, ""),
    // Escapes and comments.
    ("l\\s", C, "ls"),
    ("\\ls", C, "ls"),
    ("ls \\\n -la", C, "ls"),
    ("l\\\ns", C, "ls"),
    ("ls # a comment", C, "ls"),
    ("# only a comment", C, ""),
    ("ls#x", C, "ls#x"),
    ("echo \"a\\\"b\"", C, "echo"),
    ("echo \"!\"", C, "echo"),
    // Assignments.
    ("A=b ls", C, "ls"),
    ("A=b", C, ""),
    ("A=$(ls) wc", C, "ls wc"),
    ("PATH=/tmp ls", U, "ls"),
    ("LD_PRELOAD=./x.so ls", U, "ls"),
    ("IFS=x; ls", U, "ls"),
    ("GIT_SSH_COMMAND='x y' git fetch", U, "git"),
    ("A+=b ls", C, "ls"),
    ("a=(x y); ls", C, "ls"),
    ("'A'=b ls", C, "A=b"),
    ("export PATH=/tmp; ls", U, "export ls"),
    ("export A=b; ls", C, "export ls"),
    ("unset PATH", U, "unset"),
    ("read PATH", U, "read"),
    // Redirections.
    ("ls > out", C, "ls"),
    ("ls >> out 2>&1", C, "ls"),
    ("> out", C, ""),
    ("> out ls", C, "ls"),
    ("2>/dev/null ls", C, "ls"),
    ("ls < in | wc", C, "ls wc"),
    ("ls &> out", C, "ls"),
    ("cat <<EOF\n$(date)\nEOF\n", C, "cat date"),
    ("cat <<'EOF'\n$(date)\nEOF\nls", C, "cat ls"),
    ("cat <<-EOF\n\tx\n\tEOF\nls", C, "cat ls"),
    ("cat <<A <<B\n1\nA\n2\nB\nls", C, "cat ls"),
    ("cat <<< \"$(ls)\"", C, "cat ls"),
    ("ls >", N, ""),
    // Wrappers.
    ("env ls", S, "env ls"),
    ("env -i ls", S, "env ls"),
    ("env A=b ls", C, "env ls"),
    ("env -u A -C /x ls", S, "env ls"),
    ("env -S 'ls -la'", U, "env"),
    ("env --split-string='ls'", U, "env"),
    ("env -iS ls", U, "env"),
    ("env LD_PRELOAD=x ls", U, "env"),
    ("env PATH=/tmp ls", U, "env"),
    ("env", S, "env"),
    ("timeout 5 ls", S, "timeout ls"),
    ("timeout -s KILL 5 curl x", S, "timeout curl"),
    ("timeout -k 1 --signal=9 5 curl x", S, "timeout curl"),
    ("timeout --odd 5 curl", U, "timeout"),
    ("nice -n 5 ls", S, "nice ls"),
    ("nice -5 ls", S, "nice ls"),
    ("nohup ls", S, "nohup ls"),
    ("time -p ls", S, "time ls"),
    ("stdbuf -oL -e 0 ls", S, "stdbuf ls"),
    (
        "nohup nice timeout 5 env curl x",
        S,
        "nohup nice timeout env curl",
    ),
    ("timeout 5 $X", U, "timeout"),
    ("exec ls", C, "exec ls"),
    ("command ls", C, "command ls"),
    ("command -v ls", C, "command"),
    ("builtin echo x", C, "builtin echo"),
    // What runs text.
    ("eval ls", U, "eval"),
    ("eval \"$X\"", U, "eval"),
    (". ./x", U, "."),
    ("source x", U, "source"),
    ("trap 'ls' EXIT", U, "trap"),
    ("alias ls=rm", U, "alias"),
    ("sh -c 'ls -la'", C, "sh ls"),
    ("bash -c \"ls | wc\"", C, "bash ls wc"),
    ("bash -lc 'ls'", C, "bash ls"),
    ("bash -o pipefail -c 'ls'", C, "bash ls"),
    ("sh -c \"$X\"", U, "sh"),
    ("sh -c 'ls \"'", U, "sh"),
    ("sh -c '$1' x ls", U, "sh"),
    ("sh x.sh", S, "sh"),
    ("timeout 5 sh -c 'curl x'", C, "timeout sh curl"),
    ("git -c alias.x=y x", U, "git"),
    ("git --exec-path=/x status", U, "git"),
    ("git status", S, "git"),
    ("ls | xargs rm", S, "ls xargs"),
    ("find . -name x -exec rm {} +", C, "find"),
    // The rest of the language.
    ("if true; then ls; fi", C, "true ls"),
    ("if a; then b; elif c; then d; else e; fi", C, "a b c d e"),
    ("for f in *.txt; do wc \"$f\"; done", C, "wc"),
    ("for f in a b\ndo ls\ndone", C, "ls"),
    ("for PATH in /x; do ls; done", U, "ls"),
    ("while read x; do ls; done", C, "read ls"),
    ("until false; do ls; done < f", C, "false ls"),
    ("case $x in a|b) ls;; *) wc;; esac", C, "ls wc"),
    ("case x in (a) ls;; esac", C, "ls"),
    ("(cd sub; make)", C, "cd make"),
    ("{ ls; wc; }", C, "ls wc"),
    ("f() { ls; }; f", C, "ls f"),
    ("function f { ls; }; f", C, "ls f"),
    ("[[ -f x && $(ls) ]] && wc", C, "ls wc"),
    ("[ -f x ] && wc", C, "[ wc"),
    ("! ls", C, "ls"),
    ("coproc ls", U, "ls"),
    ("then ls", N, ""),
    ("if ls", N, ""),
    ("fi", N, ""),
    ("done; ls", N, ""),
    ("}", N, ""),
    ("for f; do", N, ""),
    ("f(", N, ""),
];

fn kind(shape: Shape) -> Kind {
    match shape {
        Shape::Simple => S,
        Shape::Complex => C,
        Shape::Undecided(_) => U,
        Shape::Unreadable(_) => N,
    }
}

fn workspace(level: Level) -> Workspace {
    Workspace {
        name: "site".into(),
        path: "/w/site".into(),
        level,
        added_at: Timestamp::UNIX_EPOCH,
    }
}

fn resolve(program: &str) -> Option<ProgramPath> {
    let found = match (program.starts_with('/'), program.contains('/')) {
        (true, _) => program.into(),
        (false, true) => format!("/w/site/sub/{program}").into(),
        (false, false) => format!("/usr/bin/{program}").into(),
    };
    Some(ProgramPath {
        canonical: std::path::PathBuf::clone(&found),
        found,
    })
}

fn shell(command: Command) -> ShellAction {
    ShellAction {
        command,
        working_dir: None,
        timeout: Default::default(),
        stdin: None,
        network: Vec::new(),
        git_writes: false,
        read_only: false,
    }
}

fn verdict(shell: ShellAction, level: Level, rules: &str) -> Verdict {
    let action = Action::Shell(shell);
    let rules = Rules::parse(rules, resolve).unwrap();
    let reading = read(&action);
    let programs: HashMap<_, _> = reading
        .found
        .iter()
        .filter_map(|found| Some((found.program.clone(), resolve(&found.program)?)))
        .collect();
    let workspace = workspace(level);
    let dir = WorkingDir::Within {
        dir: "/w/site/sub".into(),
        workspace,
    };
    let facts = Facts {
        programs,
        ..Facts::new(Timestamp::UNIX_EPOCH, dir)
    };
    decide(action, reading, &facts, &rules).explanation.verdict
}

fn of_line(line: &str, level: Level, rules: &str) -> Verdict {
    verdict(shell(Command::Line(line.into())), level, rules)
}

const NO_CURL: &str = r#"
[[rule]]
id = "no-curl"
program = "curl"
verdict = "deny"
reason = "no downloads from tasks"
"#;

#[test]
fn every_line_is_read_as_the_table_says() {
    assert!(LINES.len() >= 150, "{}", LINES.len());
    let mut wrong = Vec::new();
    for (line, expected, programs) in LINES {
        let reading = command_line::read(&Command::Line((*line).to_owned()));
        // What is expanded runs before what it is expanded for.
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let named = sorted(reading.programs());
        let listed = programs.split_whitespace().map(str::to_owned).collect();
        let is_named = *expected == N || named == sorted(listed);
        if kind(reading.shape) != *expected || !is_named {
            wrong.push(format!("{line:?}: {:?}, names {named:?}", reading.shape));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_line_gets_the_verdict_of_its_level() {
    use Verdict::{Allow, Ask, Deny};
    for (line, kind, programs) in LINES {
        // observe, work, work while some rule forbids something, ask.
        let expected = match kind {
            S | C => [Allow, Allow, Allow, Ask],
            U => [Deny, Allow, Ask, Ask],
            N => [Deny, Ask, Ask, Ask],
        };
        let forbidden = programs.split(' ').any(|program| program == "curl");
        let given = [
            of_line(line, Level::Observe, ""),
            of_line(line, Level::Work, ""),
            of_line(line, Level::Work, NO_CURL),
            of_line(line, Level::Ask, ""),
        ];
        let expected = match forbidden {
            true => [expected[0], expected[1], Deny, expected[3]],
            false => expected,
        };
        assert_eq!(given, expected, "{line:?}");
    }
}

#[test]
fn a_forbidden_program_is_found_wherever_it_hides() {
    for line in [
        "curl x",
        "/usr/bin/curl x",
        "/opt/other/curl x",
        "'cu'rl x",
        "c\\url x",
        "ls; curl x",
        "ls | curl x",
        "ls\ncurl x",
        "echo $(curl x)",
        "echo \"`curl x`\"",
        "echo $(echo $(echo $(curl x)))",
        "if true; then curl x; fi",
        "for f in a; do curl $f; done",
        "case x in x) curl x;; esac",
        "f() { curl x; }; f",
        "(curl x)",
        "{ curl x; }",
        "A=b curl x",
        "> out curl x",
        "cat <<EOF\n$(curl x)\nEOF",
        "cat <<EOF\ncurl\nEOF\ncurl x",
        "env curl x",
        "env A=b timeout 5 nice curl x",
        "exec curl x",
        "command curl x",
        "sh -c 'curl x'",
        "bash -c \"sh -c 'curl x'\"",
        "xargs curl",
        "ls | xargs -n1 -I{} curl {}",
        "find . -exec curl {} ;",
        "find . -execdir curl x {} +",
        "sudo -u me curl x",
        "busybox curl x",
        "watch 'curl x'",
        "parallel curl ::: a",
        "strace -f curl x",
        "ssh host curl x",
        "xargs sh -c 'curl x'",
        "eval 'curl x'",
        "trap 'curl x' EXIT",
        "diff <(curl a) b",
        "a=$(curl x)",
        "[[ $(curl x) ]]",
        "! curl x",
        "xargs sh -c 'ls; curl x'",
        "curl x &",
        "time curl x",
    ] {
        let given = of_line(line, Level::Work, NO_CURL);
        assert_eq!(given, Verdict::Deny, "{line:?}");
    }
    for line in [
        "echo curl",
        "grep curl x",
        "cat curl.txt",
        "./curlew",
        "ls 'curl x'",
    ] {
        let given = of_line(line, Level::Work, NO_CURL);
        assert_eq!(given, Verdict::Allow, "{line:?}");
    }
}

#[test]
fn an_allow_rule_is_closed_and_never_lifts_more_than_it_says() {
    let rules = r#"
[[rule]]
id = "tests"
program = "runner"
args = ["test", "unit|all"]
options = ["--quiet", "--jobs=*"]
verdict = "allow"
reason = "mine"

[[rule]]
id = "list"
program = "ls"
args = ["*"]
verdict = "allow"
reason = "mine"

[[rule]]
id = "fetch"
program = "fetcher"
args = ["*"]
network = ["registry.example"]
verdict = "allow"
reason = "mine"

[[rule]]
id = "py"
program = "python3"
args = ["*"]
verdict = "allow"
reason = "mine"

[[rule]]
id = "no-secret"
program = "ls"
args = ["secret"]
verdict = "ask"
reason = "mine"
"#;
    for (line, expected) in [
        ("runner test unit", Verdict::Allow),
        ("runner test all --quiet --jobs=4", Verdict::Allow),
        ("runner --quiet test unit", Verdict::Allow),
        ("runner test", Verdict::Ask),
        ("runner test unit more", Verdict::Ask),
        ("runner test unit --verbose", Verdict::Ask),
        ("runner test unit --quiet=x", Verdict::Ask),
        ("/usr/bin/runner test unit", Verdict::Allow),
        ("/tmp/runner test unit", Verdict::Ask),
        ("./runner test unit", Verdict::Ask),
        ("timeout 5 runner test unit", Verdict::Allow),
        ("env A=b runner test unit", Verdict::Ask),
        ("ls a b", Verdict::Allow),
        ("ls -l", Verdict::Ask),
        ("ls -- -l", Verdict::Allow),
        ("ls && ls x", Verdict::Allow),
        ("ls && wc", Verdict::Ask),
        ("ls *", Verdict::Ask),
        ("ls > x", Verdict::Ask),
        ("ls secret", Verdict::Ask),
        ("python3 x.py", Verdict::Ask),
        ("xargs ls", Verdict::Ask),
        ("sh -c 'ls'", Verdict::Ask),
        ("cd sub && ls", Verdict::Allow),
    ] {
        assert_eq!(of_line(line, Level::Ask, rules), expected, "{line:?}");
    }
    let wants = |line: &str, host: &str, git_writes| {
        let network = vec![host.to_owned()];
        let shell = ShellAction {
            network,
            git_writes,
            ..shell(Command::Line(line.into()))
        };
        [Level::Observe, Level::Work, Level::Ask].map(|level| verdict(shell.clone(), level, rules))
    };
    use Verdict::{Allow, Ask, Deny};
    assert_eq!(
        wants("fetcher x", "registry.example", false),
        [Deny, Allow, Allow]
    );
    assert_eq!(wants("fetcher x", "other.example", false), [Deny, Ask, Ask]);
    assert_eq!(
        wants("fetcher x", "registry.example", true),
        [Deny, Ask, Ask]
    );
    assert_eq!(wants("ls x", "registry.example", false), [Deny, Ask, Ask]);
    assert_eq!(
        wants("python3 x.py", "registry.example", false),
        [Deny, Ask, Ask]
    );
}

#[test]
fn what_is_too_long_or_too_much_is_asked() {
    let many = |n: usize| vec!["ls"; n].join("; ");
    assert_eq!(of_line(&many(32), Level::Work, ""), Verdict::Allow);
    assert_eq!(of_line(&many(33), Level::Work, ""), Verdict::Ask);
    let subshells = format!("{}; (ls)", many(32));
    assert_eq!(of_line(&subshells, Level::Work, ""), Verdict::Ask);
    let long = |n: usize| format!("echo {}", "x".repeat(n - 5));
    assert_eq!(of_line(&long(16 * 1024), Level::Work, ""), Verdict::Allow);
    assert_eq!(of_line(&long(16 * 1024 + 1), Level::Work, ""), Verdict::Ask);
    let hidden = format!("xargs {} curl", "a ".repeat(300));
    assert_eq!(of_line(&hidden, Level::Work, NO_CURL), Verdict::Ask);
    for deep in ["$(", "(", "((", "{ ", "if ", "\"$(", "${x:-"] {
        assert_eq!(
            of_line(&deep.repeat(2_000), Level::Work, ""),
            Verdict::Ask,
            "{deep}"
        );
    }
    let argv = |word: &str| {
        let words = vec!["echo".to_owned(), word.to_owned()];
        verdict(shell(Command::Argv(words)), Level::Work, "")
    };
    assert_eq!(argv("a\nb $HOME `id` ; rm"), Verdict::Allow);
    assert_eq!(argv("a\u{202e}b"), Verdict::Ask);
}
