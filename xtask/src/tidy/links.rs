//! Relative links in Markdown lead to a file or folder of the repository.

use std::collections::BTreeSet;

use super::{File, resolve};

/// Returns a sentence for each relative link that leads nowhere.
pub(super) fn violations(files: &[File]) -> Vec<String> {
    let there = places(files);
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in links(&file.text) {
            if !leads_somewhere(&file.path, target, &there) {
                found.push(format!(
                    "{}:{line}: `{target}` is not in the repository",
                    file.path
                ));
            }
        }
    }
    found
}

/// Returns every file and every folder that holds one.
fn places(files: &[File]) -> BTreeSet<&str> {
    let mut places = BTreeSet::from([""]);
    for file in files {
        places.insert(&file.path);
        places.extend(
            file.path
                .match_indices('/')
                .map(|(end, _)| &file.path[..end]),
        );
    }
    places
}

/// Returns the targets of inline links, images and link definitions, outside of code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut fence = None;
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            (Some(_), _) => {}
            (None, None) => links.extend(targets(line).map(|target| (index + 1, target))),
        }
    }
    links
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    let in_code = |at: usize| line[..at].matches('`').count() % 2 == 1;
    let inline = line
        .match_indices("](")
        .filter(move |(at, _)| !in_code(*at))
        .filter_map(|(at, open)| line[at + open.len()..].split([')', ' ']).next());
    let definition = line
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "));
    inline.chain(definition.and_then(|(_, target)| target.split_whitespace().next()))
}

fn leads_somewhere(from: &str, target: &str, there: &BTreeSet<&str>) -> bool {
    let path = target
        .trim_matches(['<', '>'])
        .split('#')
        .next()
        .unwrap_or_default();
    let is_address = path
        .split('/')
        .next()
        .is_some_and(|start| start.contains(':'));
    if path.is_empty() || is_address {
        return true;
    }
    let place = resolve(from, path);
    !path.starts_with('/') && place.is_some_and(|place| there.contains(place.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::violations;

    #[test]
    fn a_link_to_a_missing_file_is_found() {
        let readme = file("README.md", "One\n\nSee [the map](docs/map.md#top).");
        assert_eq!(
            violations(&[readme]),
            ["README.md:3: `docs/map.md#top` is not in the repository"]
        );
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "[a](a.md) ![b](../icons/b.png \"b\") [c](../docs/) [d](#here)\n\
                    [e](https://example.org/x) [f](mailto:a@example.org) [g][h]\n\n[h]: ../README.md";
        let files = [
            file("docs/x.md", text),
            file("docs/a.md", ""),
            file("icons/b.png", ""),
            file("README.md", ""),
        ];
        assert_eq!(violations(&files), [""; 0]);
    }

    #[test]
    fn a_definition_and_a_way_out_of_the_repository_are_found() {
        let text = "[h]: nowhere.md\n[up](../../README.md)\n[root](/README.md)";
        assert_eq!(
            violations(&[file("docs/x.md", text), file("README.md", "")]).len(),
            3
        );
    }

    #[test]
    fn code_is_not_a_link() {
        let text = "`[a](b.md)`\n```\n[a](b.md)\n```\n";
        assert_eq!(violations(&[file("x.md", text)]), [""; 0]);
    }
}
