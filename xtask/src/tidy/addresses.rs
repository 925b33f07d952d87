//! The repository works on any machine: it names no folder of somebody's and no package host.
//!
//! Package clients know their registries; a host in a lock file or a script is the mirror of the
//! machine it was written on.

use super::File;

/// The file that holds the forbidden words themselves.
const ITSELF: &str = "xtask/src/tidy/addresses.rs";

/// Folders that hold people's homes.
const HOMES: &[&str] = &["/home/", "/Users/", "C:\\Users\\"];

/// Invented people, who may have a home in examples and tests; so may those of one letter.
const INVENTED: &[&str] = &[
    "ada", "alice", "bob", "me", "owner", "someone", "user", "you",
];

/// What points a package client somewhere else than where it goes by itself.
const REDIRECTIONS: &[&str] = &[
    "\"resolved\": \"http",
    "registry=http",
    "registry = \"http",
    "--registry",
    "index-url",
    "index_url",
    "replace-with",
    "_authToken",
];

/// How the hosts of package registries begin.
const PACKAGE_HOSTS: &[&str] = &[
    "registry", "index", "static", "files", "deb", "security", "pypi",
];

/// Returns a sentence for each address that ties the repository to a machine.
pub(super) fn violations(files: &[File], root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path != ITSELF) {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(what) = machine_path(line, root).or_else(|| package_host(line)) {
                found.push(format!("{}:{}: {what}", file.path, index + 1));
            }
        }
    }
    found
}

fn machine_path(line: &str, root: &str) -> Option<String> {
    let real = |home: &&str| {
        let homes = line
            .match_indices(*home)
            .filter(|(at, _)| starts_a_path(line, *at));
        homes
            .map(|(at, home)| word(&line[at + home.len()..]))
            .any(|name| {
                let is_name = name.starts_with(|c: char| c.is_alphanumeric());
                is_name && name.len() > 1 && !INVENTED.contains(&name)
            })
    };
    let of_administrator = || {
        line.match_indices("/root/")
            .any(|(at, _)| starts_a_path(line, at))
    };
    let is_found = is_named(root, line) || HOMES.iter().any(real) || of_administrator();
    is_found.then(|| "names a folder of one machine".to_owned())
}

/// Tells whether a line names the folder the repository lies in; one like `/src` is not telling.
fn is_named(root: &str, line: &str) -> bool {
    let is_telling = root.matches(['/', '\\']).count() > 1;
    is_telling
        && line
            .match_indices(root)
            .any(|(at, _)| starts_a_path(line, at))
}

/// Tells whether a path begins here, rather than going on.
fn starts_a_path(line: &str, at: usize) -> bool {
    let before = line[..at].chars().next_back();
    before.is_none_or(|c| !c.is_alphanumeric() && !"._-~/})".contains(c))
}

fn package_host(line: &str) -> Option<String> {
    if let Some(word) = REDIRECTIONS.iter().find(|word| line.contains(**word)) {
        return Some(format!("`{word}` points a package client somewhere else"));
    }
    let hosts = line
        .match_indices("://")
        .map(|(at, sign)| word(&line[at + sign.len()..]));
    let begins = |host: &str| {
        host.split_once('.')
            .is_some_and(|(label, _)| PACKAGE_HOSTS.contains(&label))
    };
    hosts
        .into_iter()
        .any(begins)
        .then(|| "names the host of a package registry".to_owned())
}

/// Returns the name at the beginning of a text.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && !"._-".contains(c));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::violations;

    fn of(line: &str) -> usize {
        violations(&[file("script/x", line)], "/srv/build/deskhand").len()
    }

    #[test]
    fn a_folder_of_one_machine_is_found() {
        assert_eq!(
            violations(
                &[file("docs/x.md", "\ncd /home/carla/deskhand")],
                "/srv/build/deskhand"
            ),
            ["docs/x.md:2: names a folder of one machine"]
        );
        assert_eq!(of("cwd: \"/Users/carla\""), 1);
        assert_eq!(of("C:\\Users\\carla\\x"), 1);
        assert_eq!(of("in /root/.cargo"), 1);
        assert_eq!(of("see /srv/build/deskhand/target"), 1);
    }

    #[test]
    fn examples_and_longer_paths_pass() {
        assert_eq!(
            of("/home/ada/project and /home/o and /home/ and /home/$USER and /home/{name}"),
            0
        );
        assert_eq!(
            of("~/home/carla, a/home/carla, https://example.org/home/carla"),
            0
        );
        assert_eq!(of("target/root/x"), 0);
        assert_eq!(violations(&[file("x", "in \"/src\"")], "/src").len(), 0);
    }

    #[test]
    fn a_package_host_is_found() {
        assert_eq!(of("\"resolved\": \"https://mirror.example.org/x.tgz\""), 1);
        assert_eq!(of("npm ci --registry x"), 1);
        assert_eq!(of("fetch https://registry.example.org/x"), 1);
        assert_eq!(of("see https://docs.rs/clap and https://example.org"), 0);
    }
}
