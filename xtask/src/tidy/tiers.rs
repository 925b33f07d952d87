//! The viewer's tiers, lowest first: `lib`, `components/shared`, `components/<domain>`, `views`.
//!
//! A file imports from its own folder and from lower tiers; `components/shared` knows no domain and
//! so nothing of `lib`; one domain does not reach into another. Only `lib/backend` speaks to the
//! outside.

use super::{File, resolve};

const UI: &str = "ui/src/";

/// What only `lib/backend` says.
const OUTSIDE: &[&str] = &[
    "fetch(",
    "new WebSocket(",
    "new EventSource(",
    "@tauri-apps/",
    "__TAURI",
];

/// Where a file of the viewer belongs.
#[derive(PartialEq)]
enum Tier<'a> {
    Lib,
    Shared,
    Domain(&'a str),
    /// Views and what starts the page: they may use everything.
    Top,
}

/// Returns a sentence for each import from a place that must not be known there.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| is_source(&file.path)) {
        for (index, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.path, index + 1);
            if let Some(target) = imported(line)
                && !may_import(&file.path, target)
            {
                found.push(format!("{place}: must not import `{target}`"));
            }
            let outside = OUTSIDE.iter().find(|word| line.contains(**word));
            if let Some(word) = outside
                && !file.path.starts_with("ui/src/lib/backend/")
            {
                found.push(format!("{place}: `{word}` belongs in ui/src/lib/backend"));
            }
        }
    }
    found
}

fn is_source(path: &str) -> bool {
    let is_code = path.ends_with(".ts") || path.ends_with(".svelte");
    path.starts_with(UI) && is_code && !path.ends_with(".test.ts")
}

/// Returns what the line imports, when it is a file of ours.
fn imported(line: &str) -> Option<&str> {
    let words = ["from \"", "import \"", "import(\""];
    let rest = words.iter().find_map(|word| line.split_once(word))?.1;
    let target = rest.split('"').next()?;
    target.starts_with('.').then_some(target)
}

fn may_import(from: &str, target: &str) -> bool {
    let Some(target) = resolve(from, target) else {
        return false;
    };
    match (tier(from), tier(&target)) {
        (Tier::Top, _) | (Tier::Lib, Tier::Lib) | (Tier::Shared, Tier::Shared) => true,
        (Tier::Domain(_), Tier::Lib | Tier::Shared) => true,
        (Tier::Domain(from), Tier::Domain(to)) => from == to,
        (Tier::Lib | Tier::Shared, _) | (Tier::Domain(_), Tier::Top) => false,
    }
}

fn tier(path: &str) -> Tier<'_> {
    let steps: Vec<&str> = path.strip_prefix(UI).unwrap_or(path).split('/').collect();
    match steps[..] {
        ["lib", ..] => Tier::Lib,
        ["components", "shared", ..] => Tier::Shared,
        ["components", domain, ..] => Tier::Domain(domain),
        _ => Tier::Top,
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::violations;

    fn import(from: &str, target: &str) -> usize {
        let line = format!("import A from \"{target}\";");
        violations(&[file(&format!("ui/src/{from}"), &line)]).len()
    }

    #[test]
    fn shared_components_know_no_domain() {
        let line = "import type { Task } from \"../../lib/protocol\";";
        assert_eq!(
            violations(&[file("ui/src/components/shared/List.svelte", line)]),
            ["ui/src/components/shared/List.svelte:1: must not import `../../lib/protocol`"]
        );
        assert_eq!(import("components/shared/A.svelte", "../task/B.svelte"), 1);
        assert_eq!(import("components/shared/A.svelte", "./B.svelte"), 0);
    }

    #[test]
    fn domains_know_lower_tiers_and_themselves() {
        assert_eq!(import("components/task/A.svelte", "../diff/B.svelte"), 1);
        assert_eq!(
            import("components/task/A.svelte", "../../views/B.svelte"),
            1
        );
        assert_eq!(import("components/task/A.svelte", "../shared/B.svelte"), 0);
        assert_eq!(import("components/task/A.svelte", "../../lib/state/b"), 0);
        assert_eq!(import("components/task/A.svelte", "./B.svelte"), 0);
    }

    #[test]
    fn lib_knows_no_component_and_views_know_all() {
        assert_eq!(
            import("lib/state/a.svelte.ts", "../../components/shared/B.svelte"),
            1
        );
        assert_eq!(import("lib/state/a.svelte.ts", "../backend/b"), 0);
        assert_eq!(import("views/A.svelte", "../components/task/B.svelte"), 0);
    }

    #[test]
    fn only_the_backend_speaks_to_the_outside() {
        let call = "const answer = await fetch(url);";
        assert_eq!(
            violations(&[file("ui/src/views/Start.svelte", call)]),
            ["ui/src/views/Start.svelte:1: `fetch(` belongs in ui/src/lib/backend"]
        );
        assert_eq!(
            violations(&[file("ui/src/lib/backend/relay.ts", call)]),
            [""; 0]
        );
    }
}
