//! Calls that belong to one crate: reading the environment, starting processes, `unsafe`.
//!
//! Looks at the tokens of each Rust file, so comments and strings do not count; `#[cfg(test)]`
//! items and test files may read the environment and start processes. It does not resolve names:
//! it finds `env::var`, not a function that calls it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::File;

/// One kind of call and where it is at home.
struct Rule {
    what: &'static str,
    /// Where it is allowed, by the beginning of the path.
    home: &'static [&'static str],
    /// Whether tests, chores and build scripts may do it as well.
    free_in_tests: bool,
    /// How often it may occur elsewhere, by the beginning of the path, and why.
    exceptions: &'static [(&'static str, usize, &'static str)],
    found: fn(&[Token], usize) -> bool,
}

const RULES: &[Rule] = &[
    Rule {
        what: "only crates/host reads the environment and the home directory",
        home: &["crates/host/"],
        free_in_tests: true,
        exceptions: &[(
            "crates/sandbox/",
            3,
            "one variable by which tests take layers away; helper, bubblewrap's stage and spawner read it",
        )],
        found: reads_environment,
    },
    Rule {
        what: "only crates/sandbox starts processes",
        home: &["crates/sandbox/"],
        free_in_tests: true,
        exceptions: &[(
            "crates/cli/",
            2,
            "`up --detach` starts itself again; `git-exec` becomes the installed git",
        )],
        found: starts_process,
    },
    Rule {
        what: "only crates/sandbox contains `unsafe`",
        home: &["crates/sandbox/"],
        free_in_tests: false,
        exceptions: &[(
            "crates/git/",
            2,
            "libgit2's search paths and the extensions it accepts are globals, set at start",
        )],
        found: |tokens, at| tokens[at].text == "unsafe",
    },
];

const ENVIRONMENT: &[&str] = &[
    "var",
    "var_os",
    "vars",
    "vars_os",
    "set_var",
    "remove_var",
    "home_dir",
    "temp_dir",
    "*",
];

/// Returns a sentence for each forbidden call.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for rule in RULES {
        let mut spent = vec![0; rule.exceptions.len()];
        for file in files.iter().filter(|file| concerns(rule, &file.path)) {
            let Ok(tokens) = tokens(&file.text, rule.free_in_tests) else {
                found.push(format!("{}: is not Rust that can be read", file.path));
                continue;
            };
            let hits = (0..tokens.len()).filter(|&at| (rule.found)(&tokens, at));
            for line in hits.map(|at| tokens[at].line) {
                if !is_excepted(rule, &file.path, &mut spent) {
                    found.push(format!("{}:{line}: {}", file.path, rule.what));
                }
            }
        }
    }
    found
}

fn concerns(rule: &Rule, path: &str) -> bool {
    let at_home = rule.home.iter().any(|home| path.starts_with(home));
    path.ends_with(".rs") && !at_home && !(rule.free_in_tests && is_test_or_chore(path))
}

fn is_test_or_chore(path: &str) -> bool {
    let mut folders = path.split('/');
    let file = folders.next_back().unwrap_or_default();
    path.starts_with("xtask/")
        || matches!(file, "build.rs" | "tests.rs")
        || folders.any(|folder| matches!(folder, "tests" | "benches" | "examples"))
}

fn is_excepted(rule: &Rule, path: &str, spent: &mut [usize]) -> bool {
    let here = rule
        .exceptions
        .iter()
        .position(|(start, _, _)| path.starts_with(start));
    here.is_some_and(|at| {
        spent[at] += 1;
        spent[at] <= rule.exceptions[at].1
    })
}

fn reads_environment(tokens: &[Token], at: usize) -> bool {
    names(tokens, at, "env", ENVIRONMENT) || is_foreign_home_dir(tokens, at)
}

/// Tells whether `home_dir` of another crate is named here, such as that of `dirs`.
fn is_foreign_home_dir(tokens: &[Token], at: usize) -> bool {
    let before = |steps: usize| {
        at.checked_sub(steps)
            .map_or("", |at| tokens[at].text.as_str())
    };
    tokens[at].text == "home_dir" && before(1) == "::" && before(2) != "env"
}

fn starts_process(tokens: &[Token], at: usize) -> bool {
    names(tokens, at, "process", &["Command", "*"])
}

/// Tells whether `module::name` starts here for one of the names, also within braces of a `use`,
/// or whether the module is given another name, under which we would not find it again.
fn names(tokens: &[Token], at: usize, module: &str, names: &[&str]) -> bool {
    let text = |offset: usize| {
        tokens
            .get(at + offset)
            .map_or("", |token| token.text.as_str())
    };
    if text(0) != module {
        return false;
    }
    match (text(1), text(2)) {
        ("as", _) => true,
        ("::", "{") => {
            let inside = tokens[at + 3..]
                .iter()
                .take_while(|token| token.text != "}");
            inside
                .map(|token| token.text.as_str())
                .any(|text| names.contains(&text))
        }
        ("::", name) => names.contains(&name),
        _ => false,
    }
}

struct Token {
    text: String,
    line: usize,
}

/// Lexes Rust into a flat list, in which `::` is one token and braces are tokens.
fn tokens(text: &str, without_tests: bool) -> Result<Vec<Token>, proc_macro2::LexError> {
    let mut flat = Vec::new();
    flatten(text.parse()?, without_tests, &mut flat);
    Ok(flat)
}

fn flatten(stream: TokenStream, without_tests: bool, flat: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        if without_tests
            && let Some(attribute) = attribute(&trees, at)
            && is_cfg_test(&attribute.stream)
        {
            match attribute.inner {
                true => return,
                false => at = after_item(&trees, at),
            }
            continue;
        }
        push(&trees[at], trees.get(at + 1), without_tests, flat);
        at += if is_path_separator(&trees, at) { 2 } else { 1 };
    }
}

fn push(tree: &TokenTree, next: Option<&TokenTree>, without_tests: bool, flat: &mut Vec<Token>) {
    let line = tree.span().start().line;
    let mut token = |text: &str, line| {
        flat.push(Token {
            text: text.to_owned(),
            line,
        })
    };
    match (tree, next) {
        (TokenTree::Group(group), _) => {
            let (open, close) = match group.delimiter() {
                Delimiter::Brace => ("{", "}"),
                Delimiter::Bracket => ("[", "]"),
                Delimiter::Parenthesis => ("(", ")"),
                Delimiter::None => ("", ""),
            };
            token(open, line);
            flatten(group.stream(), without_tests, flat);
            flat.push(Token {
                text: close.to_owned(),
                line: group.span_close().start().line,
            });
        }
        (TokenTree::Punct(colon), Some(TokenTree::Punct(next)))
            if colon.as_char() == ':' && next.as_char() == ':' =>
        {
            token("::", line);
        }
        (tree, _) => token(&tree.to_string(), line),
    }
}

fn is_path_separator(trees: &[TokenTree], at: usize) -> bool {
    let colon =
        |tree: &TokenTree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ':');
    colon(&trees[at]) && trees.get(at + 1).is_some_and(colon)
}

struct Attribute {
    stream: TokenStream,
    /// `#![…]`, which speaks of everything around it.
    inner: bool,
}

fn attribute(trees: &[TokenTree], at: usize) -> Option<Attribute> {
    let is = |at: usize, wanted| matches!(trees.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted);
    if !is(at, '#') {
        return None;
    }
    let inner = is(at + 1, '!');
    match trees.get(at + if inner { 2 } else { 1 })? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => Some(Attribute {
            stream: group.stream(),
            inner,
        }),
        _ => None,
    }
}

/// Tells whether an attribute is `cfg(test)`, alone or among other conditions.
fn is_cfg_test(attribute: &TokenStream) -> bool {
    let said = attribute.to_string().replace(' ', "");
    let words = || said.split(|c: char| !c.is_alphanumeric() && c != '_');
    said.starts_with("cfg(")
        && words().any(|word| word == "test")
        && words().all(|word| word != "not")
}

/// Returns the place after the item an attribute belongs to: after its braces or its `;`.
fn after_item(trees: &[TokenTree], attribute: usize) -> usize {
    let ends = |tree: &TokenTree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    };
    let end = trees[attribute..].iter().position(ends);
    end.map_or(trees.len(), |end| attribute + end + 1)
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::violations;

    fn in_agent(text: &str) -> Vec<String> {
        violations(&[file("crates/agent/src/lib.rs", text)])
    }

    #[test]
    fn the_environment_is_read_in_host_only() {
        let read = "fn f() {\n    std::env::var(\"HOME\");\n}";
        assert_eq!(
            in_agent(read),
            [
                "crates/agent/src/lib.rs:2: only crates/host reads the environment and the home directory"
            ]
        );
        assert_eq!(
            violations(&[file("crates/host/src/dirs.rs", read)]),
            [""; 0]
        );
        assert_eq!(violations(&[file("crates/agent/build.rs", read)]), [""; 0]);
        assert_eq!(violations(&[file("tests/src/lib.rs", read)]), [""; 0]);
    }

    #[test]
    fn imports_are_seen_as_well() {
        assert_eq!(in_agent("use std::env::{self, temp_dir};").len(), 1);
        assert_eq!(in_agent("use std::{env::var_os, fs};").len(), 1);
        assert_eq!(in_agent("use std::env as surroundings;").len(), 1);
        assert_eq!(in_agent("use std::env::*;").len(), 1);
        assert_eq!(in_agent("fn f() { dirs::home_dir(); }").len(), 1);
        assert_eq!(in_agent("fn f() { std::env::home_dir(); }").len(), 1);
        assert_eq!(
            in_agent("use std::{env, fs}; fn f(env: Env) { env.var(); }"),
            [""; 0]
        );
    }

    #[test]
    fn comments_strings_and_tests_do_not_count() {
        let text = r##"
            //! Never `std::env::var("X")`.
            const S: &str = "std::process::Command::new";
            #[cfg(test)]
            mod tests { use std::process::Command; }
            #[cfg(all(test, unix))]
            use std::env::var;
            fn after() {}
        "##;
        assert_eq!(in_agent(text), [""; 0]);
        assert_eq!(
            in_agent("#[cfg(not(test))]\nuse std::process::Command;").len(),
            1
        );
        assert_eq!(
            in_agent("#[cfg(test)]\nuse a::b;\nuse std::process::Command;").len(),
            1
        );
    }

    #[test]
    fn processes_are_started_in_the_sandbox_only() {
        let start = "use tokio::process::{Child, Command};";
        assert_eq!(
            in_agent(start),
            ["crates/agent/src/lib.rs:1: only crates/sandbox starts processes"]
        );
        assert_eq!(
            violations(&[file("crates/sandbox/src/spawn.rs", start)]),
            [""; 0]
        );
        assert_eq!(in_agent("use std::process::{ExitCode, id};"), [""; 0]);
    }

    #[test]
    fn an_exception_is_used_up() {
        let starts = |path: &str| file(path, "use std::process::Command;");
        let files = [
            starts("crates/cli/src/commands/git_exec.rs"),
            starts("crates/cli/src/commands/up.rs"),
            starts("crates/cli/src/commands/run.rs"),
        ];
        assert_eq!(
            violations(&files),
            ["crates/cli/src/commands/run.rs:1: only crates/sandbox starts processes"]
        );
    }

    #[test]
    fn unsafe_is_for_the_sandbox_even_in_tests() {
        let text = "#[cfg(test)]\nmod tests {\n    fn f() { unsafe { g() } }\n}";
        assert_eq!(
            in_agent(text),
            ["crates/agent/src/lib.rs:3: only crates/sandbox contains `unsafe`"]
        );
        assert_eq!(
            violations(&[file("crates/sandbox/src/lib.rs", text)]),
            [""; 0]
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert_eq!(in_agent("fn f() {").len(), 3);
    }
}
