//! What is known of programs: which are part of the shell, which start others, and how to find those.
//!
//! The wrappers are a closed list with their option grammar; a wrapper used in a way that is not
//! written down here is undecided. Beyond the lists nothing is known of any program.

use super::{Found, Role, Shape, grammar};

/// Most commands found in one line, inner ones included.
const MAX_FOUND: usize = 256;

/// Words the shell itself reads in the place of a program.
const RESERVED: &[&str] = &[
    "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "for", "in", "case",
    "esac", "select", "function", "coproc", "{", "}", "!", "[[", "]]",
];

/// Commands of the shell that start nothing and change nothing but where it is and how it ends.
const HARMLESS_BUILTINS: &[&str] = &[
    ":", "[", "cd", "echo", "exit", "false", "kill", "printf", "pwd", "test", "times", "true",
    "type", "ulimit", "umask", "wait",
];

/// Those of them that are no programs as well.
const SHELL_ONLY: &[&str] = &[
    ":", "cd", "exit", "times", "type", "ulimit", "umask", "wait",
];

/// Commands of a shell that run text, start programs, or change what names mean.
const OTHER_BUILTINS: &[&str] = &[
    ".",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "declare",
    "dirs",
    "disown",
    "enable",
    "eval",
    "exec",
    "export",
    "fc",
    "fg",
    "getopts",
    "hash",
    "history",
    "jobs",
    "let",
    "local",
    "logout",
    "mapfile",
    "nocorrect",
    "noglob",
    "popd",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "trap",
    "typeset",
    "unalias",
    "unset",
];

/// Shells, which run the text behind `-c`.
const SHELLS: &[&str] = &[
    "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "rbash", "sh", "tcsh", "yash", "zsh",
];

/// Programs that start programs named by their arguments, in grammars that are not written down here.
const LAUNCHERS: &[&str] = &[
    "at",
    "batch",
    "busybox",
    "chroot",
    "chrt",
    "doas",
    "docker",
    "entr",
    "exec",
    "fakeroot",
    "fd",
    "find",
    "firejail",
    "flock",
    "gdb",
    "ionice",
    "ltrace",
    "npx",
    "nsenter",
    "parallel",
    "perf",
    "podman",
    "prlimit",
    "pkexec",
    "rlwrap",
    "runuser",
    "script",
    "setarch",
    "setpriv",
    "setsid",
    "ssh",
    "start-stop-daemon",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "taskset",
    "toybox",
    "unbuffer",
    "unshare",
    "valgrind",
    "watch",
    "xargs",
    "xvfb-run",
];

/// Programs that run programs of their own kind, or whatever a file says.
const INTERPRETERS: &[&str] = &[
    "awk",
    "bun",
    "bundle",
    "cargo",
    "cmake",
    "deno",
    "ed",
    "emacs",
    "erl",
    "ex",
    "expect",
    "gawk",
    "go",
    "gradle",
    "guile",
    "irb",
    "java",
    "jshell",
    "julia",
    "just",
    "less",
    "lua",
    "luajit",
    "m4",
    "make",
    "man",
    "mawk",
    "meson",
    "more",
    "mvn",
    "nawk",
    "ninja",
    "node",
    "nodejs",
    "npm",
    "nvim",
    "ocaml",
    "octave",
    "osascript",
    "perl",
    "php",
    "pip",
    "pip3",
    "pipx",
    "pnpm",
    "poetry",
    "powershell",
    "pwsh",
    "pypy",
    "pypy3",
    "python",
    "python2",
    "python3",
    "rake",
    "rscript",
    "Rscript",
    "ruby",
    "screen",
    "sed",
    "sqlite3",
    "tclsh",
    "tmux",
    "uv",
    "uvx",
    "vi",
    "view",
    "vim",
    "yarn",
];

/// Variables by which a program loads or starts another, beside the families of [`is_leading`].
const LEADING_VARIABLES: &[&str] = &[
    "BASH_ENV",
    "BROWSER",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "IFS",
    "LESSOPEN",
    "MANPAGER",
    "NODE_OPTIONS",
    "PAGER",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "SHELL",
    "SHELLOPTS",
    "BASHOPTS",
    "VISUAL",
];

/// Tells whether a word is the shell's own when it stands in the place of a program, unquoted.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// Tells whether the shell performs a command of that name itself, and nothing comes of it.
pub fn is_harmless_builtin(name: &str) -> bool {
    HARMLESS_BUILTINS.contains(&name)
}

/// Tells whether a command of that name exists in the shell only.
pub fn needs_shell(name: &str) -> bool {
    SHELL_ONLY.contains(&name)
}

/// Tells whether a command of that name runs text, starts programs or changes what names mean.
pub fn is_other_builtin(name: &str) -> bool {
    OTHER_BUILTINS.contains(&name)
}

/// Tells whether a program starts what its command line does not show: no rule gives it more than the
/// default profile.
pub fn starts_unseen(program: &str) -> bool {
    let name = base_name(program);
    // `python3.13`, `lua5.4`, `perl5.40.1`
    let family = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    [SHELLS, LAUNCHERS, INTERPRETERS]
        .iter()
        .any(|list| list.contains(&name) || list.contains(&family))
}

/// Tells whether a variable leads a program to load or start another.
pub fn is_leading(variable: &str) -> bool {
    LEADING_VARIABLES.contains(&variable)
        || [
            "LD_",
            "DYLD_",
            "GIT_",
            "BASH_FUNC_",
            "PYTHON",
            "PERL5",
            "RUBY",
        ]
        .iter()
        .any(|family| variable.starts_with(family))
}

/// Returns the last part of a path.
pub fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Puts a command, and those it is seen to start, among the found ones, and tells how much is known.
pub(super) fn look_into(
    program: String,
    args: Vec<Option<String>>,
    depth: usize,
    found: &mut Vec<Found>,
) -> Shape {
    let name = base_name(&program).to_owned();
    let put = |role, args: &[Option<String>], found: &mut Vec<Found>| {
        found.push(Found {
            program: program.clone(),
            args: args.to_vec(),
            role,
        });
    };
    if found.len() >= MAX_FOUND || depth > grammar::MAX_DEPTH {
        return Shape::Unreadable("its commands lie too deep");
    }
    match inner(&name, &args) {
        Inner::NoWrapper => {}
        Inner::Nothing => {
            put(Role::Wrapper, &args, found);
            return Shape::Simple;
        }
        Inner::Unknown(why) => {
            put(Role::Wrapper, &args, found);
            return Shape::Undecided(why);
        }
        Inner::Command { at, assigns } => {
            put(Role::Wrapper, &args, found);
            let Some(Some(next)) = args.get(at).cloned() else {
                return Shape::Undecided("a wrapped program is named only when it runs");
            };
            let rest = args[at + 1..].to_vec();
            let shape = look_into(next, rest, depth + 1, found);
            let own = match assigns {
                true => Shape::Complex,
                false => Shape::Simple,
            };
            return own.or(shape);
        }
    }
    put(Role::Named, &args, found);
    if SHELLS.contains(&name.as_str()) {
        return shell_script(&args, depth, found);
    }
    match name.as_str() {
        "eval" => {
            let _ = candidates_in_text(&joined(&args), depth, found);
            Shape::Undecided("`eval` runs text")
        }
        "." | "source" => Shape::Undecided("a file is read as a script"),
        "trap" => {
            let _ = candidates_in_text(&joined(&args), depth, found);
            Shape::Undecided("`trap` runs text later")
        }
        "alias" | "enable" | "hash" | "bind" | "complete" => {
            let _ = candidates_in_text(&joined(&args), depth, found);
            Shape::Undecided("it changes what a name means")
        }
        "export" | "readonly" | "declare" | "typeset" | "local" | "unset" | "read" | "mapfile"
        | "readarray" | "getopts" | "printf" | "let"
            if args.iter().any(|arg| names_leading(&name, arg)) =>
        {
            Shape::Undecided("it sets a variable that leads programs to others")
        }
        "git" if args.iter().any(configures_git) => {
            Shape::Undecided("git is told what programs to use")
        }
        "find" => find_exec(&args, depth, found),
        name if LAUNCHERS.contains(&name) => launched(&args, depth, found),
        _ => Shape::Simple,
    }
}

/// What a wrapper wraps.
enum Inner {
    NoWrapper,
    /// It starts nothing this time.
    Nothing,
    /// It is used in a way that is not written down here.
    Unknown(&'static str),
    /// The argument that is the program; whether variables are set for it.
    Command {
        at: usize,
        assigns: bool,
    },
}

/// An option of a wrapper: its short and long form, and whether a value follows.
type Opt = (&'static str, &'static str, bool);

fn inner(name: &str, args: &[Option<String>]) -> Inner {
    const NONE: &[Opt] = &[];
    let (options, n_operands): (&[Opt], usize) = match name {
        "env" => (
            &[
                ("-i", "--ignore-environment", false),
                ("-", "", false),
                ("-v", "--debug", false),
                ("-u", "--unset", true),
                ("-C", "--chdir", true),
            ],
            0,
        ),
        "timeout" => (
            &[
                ("-f", "--foreground", false),
                ("-p", "--preserve-status", false),
                ("-v", "--verbose", false),
                ("-k", "--kill-after", true),
                ("-s", "--signal", true),
            ],
            1,
        ),
        "nice" => (&[("-n", "--adjustment", true)], 0),
        "nohup" => (NONE, 0),
        "time" => (
            &[
                ("-p", "--portability", false),
                ("-v", "--verbose", false),
                ("-a", "--append", false),
                ("-f", "--format", true),
                ("-o", "--output", true),
            ],
            0,
        ),
        "stdbuf" => (
            &[
                ("-i", "--input", true),
                ("-o", "--output", true),
                ("-e", "--error", true),
            ],
            0,
        ),
        "exec" => (&[("-c", "", false), ("-l", "", false), ("-a", "", true)], 0),
        "command" => match args.first() {
            Some(Some(first)) if first == "-v" || first == "-V" => return Inner::Nothing,
            _ => (&[("-p", "", false)], 0),
        },
        "builtin" | "noglob" | "nocorrect" => (NONE, 0),
        _ => return Inner::NoWrapper,
    };
    let (mut at, mut assigns) = (0, false);
    let unknown = Inner::Unknown("a wrapper is used in a way that cannot be followed");
    while let Some(arg) = args.get(at) {
        let Some(arg) = arg else { return unknown };
        if arg == "--" {
            at += 1;
            break;
        }
        if !arg.starts_with('-') {
            break;
        }
        // `nice -5`
        if name == "nice" && arg[1..].bytes().all(|b| b.is_ascii_digit()) && arg.len() > 1 {
            at += 1;
            continue;
        }
        let (head, has_value) = match arg.split_once('=') {
            Some((head, _)) if head.starts_with("--") => (head, true),
            _ => (arg.as_str(), false),
        };
        let known = options.iter().find(|(short, long, takes_value)| {
            head == *short
                || (!long.is_empty() && head == *long)
                // `-oL`: the value is part of the word.
                || (*takes_value && !head.starts_with("--") && head.starts_with(short))
        });
        match known {
            None => return unknown,
            Some((short, long, true)) if !has_value && (head == *short || head == *long) => at += 2,
            Some((_, _, false)) if has_value => return unknown,
            Some(_) => at += 1,
        }
    }
    if name == "env" {
        while let Some(Some(arg)) = args.get(at) {
            match arg.split_once('=') {
                Some((variable, _)) if is_leading(variable) => {
                    return Inner::Unknown("it sets a variable that leads programs to others");
                }
                Some(_) => assigns = true,
                None => break,
            }
            at += 1;
        }
    }
    at += n_operands;
    match at < args.len() {
        true => Inner::Command { at, assigns },
        false => Inner::Nothing,
    }
}

/// Reads the text behind a shell's `-c`.
fn shell_script(args: &[Option<String>], depth: usize, found: &mut Vec<Found>) -> Shape {
    let mut has_script = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(arg) = arg else {
            return Shape::Undecided("a shell's arguments are known only when it runs");
        };
        match arg.strip_prefix(['-', '+']) {
            Some("" | "-") => break,
            Some(long) if arg.starts_with("--") => {
                if ["-rcfile", "-init-file"].contains(&long) {
                    args.next();
                }
            }
            Some(letters) => {
                has_script |= arg.starts_with('-') && letters.contains('c');
                // The name of a setting follows.
                if letters.ends_with(['o', 'O']) {
                    args.next();
                }
            }
            None if has_script => return nested(arg, depth, found),
            // A script in a file, as with any interpreter.
            None => return Shape::Simple,
        }
    }
    match (has_script, args.next()) {
        (true, Some(Some(script))) => nested(script, depth, found),
        (true, Some(None)) => Shape::Undecided("a shell's script is known only when it runs"),
        _ => Shape::Simple,
    }
}

fn nested(script: &str, depth: usize, found: &mut Vec<Found>) -> Shape {
    match grammar::read_at(script, depth + 1) {
        Ok(mut outline) => {
            let shape = outline.shape();
            found.append(&mut outline.found);
            shape
        }
        Err(_) => Shape::Undecided("a shell's script cannot be read"),
    }
}

/// Finds what `find` is told to start.
fn find_exec(args: &[Option<String>], depth: usize, found: &mut Vec<Found>) -> Shape {
    let mut shape = Shape::Simple;
    for (i, arg) in args.iter().enumerate() {
        let starts = ["-exec", "-execdir", "-ok", "-okdir"];
        if arg.as_deref().is_some_and(|arg| starts.contains(&arg)) {
            shape = shape.or(launched(&args[i + 1..], depth, found));
        }
    }
    shape
}

/// Finds what a launcher may start: any of its words.
fn launched(args: &[Option<String>], depth: usize, found: &mut Vec<Found>) -> Shape {
    let mut shape = Shape::Simple;
    for (i, arg) in args.iter().enumerate() {
        let Some(arg) = arg else { continue };
        if found.len() >= MAX_FOUND {
            // What is not looked at could be what is forbidden.
            return Shape::Unreadable("it names more programs than are looked at");
        }
        if arg.contains([' ', '\t', '\n', ';', '|', '&']) {
            shape = shape.or(candidates_in_text(arg, depth, found));
        } else if !arg.is_empty() && !arg.starts_with('-') {
            let rest = args[i + 1..].to_vec();
            if SHELLS.contains(&base_name(arg)) {
                let before = found.len();
                shape = shape.or(shell_script(&rest, depth + 1, found));
                as_candidates(&mut found[before..]);
            }
            found.push(Found {
                program: arg.clone(),
                args: rest,
                role: Role::Candidate,
            });
        }
    }
    shape
}

fn candidates_in_text(text: &str, depth: usize, found: &mut Vec<Found>) -> Shape {
    match grammar::read_at(text, depth + 1) {
        Ok(outline) => {
            let before = found.len();
            let shape = outline.shape();
            found.extend(outline.found);
            as_candidates(&mut found[before..]);
            match shape {
                Shape::Complex => Shape::Simple,
                other => other,
            }
        }
        Err(_) => Shape::Undecided("it holds a text that cannot be read"),
    }
}

fn as_candidates(found: &mut [Found]) {
    for command in found {
        command.role = Role::Candidate;
    }
}

fn joined(args: &[Option<String>]) -> String {
    let words: Vec<&str> = args.iter().flatten().map(String::as_str).collect();
    words.join(" ")
}

fn names_leading(name: &str, arg: &Option<String>) -> bool {
    match arg {
        Some(arg) => is_leading(arg.split('=').next().unwrap_or(arg)),
        // `printf "$x"` names no variable but behind -v, which is literal in practice.
        None => name != "printf",
    }
}

fn configures_git(arg: &Option<String>) -> bool {
    arg.as_deref().is_some_and(|arg| {
        arg == "-c" || arg.starts_with("--config-env") || arg.starts_with("--exec-path=")
    })
}
