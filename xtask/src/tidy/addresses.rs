//! The repository works on any machine: it names no folder of somebody's and no package host.
//!
//! Package clients know their registries; a host in a lock file or a script is the mirror of the
//! machine it was written on.

use super::File;
use crate::run::root;

/// The file that holds the forbidden words themselves.
const ITSELF: &str = "xtask/src/tidy/addresses.rs";

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

/// Returns a sentence for each address that ties the repository to a machine, where `folders` are
/// those of the machine this runs on. An invented home in an example is nobody's.
pub(super) fn violations(files: &[File], folders: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path != ITSELF) {
        for (index, line) in file.text.lines().enumerate() {
            // Pasted output names root's home; code names it as a place of somebody else's.
            let of_root = !file.path.ends_with(".rs") && names(line, "/root/");
            let machine = of_root || folders.iter().any(|folder| names(line, folder));
            let machine = machine.then(|| "names a folder of one machine".to_owned());
            if let Some(what) = machine.or_else(|| package_host(line)) {
                found.push(format!("{}:{}: {what}", file.path, index + 1));
            }
        }
    }
    found
}

/// Returns the folders of this machine that nothing may name: this repository and the home.
pub(super) fn folders() -> Vec<String> {
    let home = std::env::home_dir().map(|home| home.to_string_lossy().into_owned());
    let repository = root().to_string_lossy().into_owned();
    // One like `/src` is not telling: other machines have it too.
    let is_telling = |folder: &String| folder.matches(['/', '\\']).count() > 1;
    home.into_iter()
        .chain([repository])
        .filter(is_telling)
        .collect()
}

fn names(line: &str, folder: &str) -> bool {
    let mut places = line.match_indices(folder);
    places.any(|(at, _)| starts_a_path(line, at))
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
        let folders = ["/home/carla", "/srv/build/deskhand"].map(str::to_owned);
        violations(&[file("script/x", line)], &folders).len()
    }

    #[test]
    fn a_folder_of_one_machine_is_found() {
        assert_eq!(
            violations(
                &[file("docs/x.md", "\ncd /home/carla/x")],
                &["/home/carla".into()]
            ),
            ["docs/x.md:2: names a folder of one machine"]
        );
        assert_eq!(of("cwd: \"/home/carla\""), 1);
        assert_eq!(of("in /root/.cargo"), 1);
        assert_eq!(of("see /srv/build/deskhand/target"), 1);
    }

    #[test]
    fn examples_and_longer_paths_pass() {
        assert_eq!(
            of("/home/ada/project and /home/ and /home/$USER and /home/{name}"),
            0
        );
        assert_eq!(
            of("~/home/carla, a/home/carla, https://example.org/home/carla"),
            0
        );
        assert_eq!(of("target/root/x"), 0);
        let code = file("crates/x/src/lib.rs", "ln -s /root/.bashrc out");
        assert_eq!(violations(&[code], &[]), [""; 0]);
    }

    #[test]
    fn a_package_host_is_found() {
        assert_eq!(of("\"resolved\": \"https://mirror.example.org/x.tgz\""), 1);
        assert_eq!(of("npm ci --registry x"), 1);
        assert_eq!(of("fetch https://registry.example.org/x"), 1);
        assert_eq!(of("see https://docs.rs/clap and https://example.org"), 0);
    }
}
