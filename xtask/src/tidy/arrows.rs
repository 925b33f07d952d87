//! Who may depend on whom. What is not listed is forbidden, for tests and build scripts as well:
//! what needs more is an integration test and lives in `tests/`.

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::run::root;

/// Our packages and those of ours each may depend on, as in `docs/architecture.md`.
const OURS: &[(&str, &[&str])] = &[
    ("deskhand-protocol", &[]),
    ("deskhand-sandbox", &[]),
    ("deskhand-sqlite", &[]),
    ("deskhand-policy", &["deskhand-protocol"]),
    ("deskhand-git", &["deskhand-protocol"]),
    ("deskhand-client", &["deskhand-protocol"]),
    ("deskhand-relay", &["deskhand-protocol", "deskhand-sqlite"]),
    (
        "deskhand-agent",
        &[
            "deskhand-protocol",
            "deskhand-policy",
            "deskhand-git",
            "deskhand-sandbox",
            "deskhand-sqlite",
        ],
    ),
    (
        "deskhand-host",
        &["deskhand-protocol", "deskhand-agent", "deskhand-relay"],
    ),
    (
        "deskhand-cli",
        &[
            "deskhand-protocol",
            "deskhand-client",
            "deskhand-host",
            "deskhand-git",
        ],
    ),
    (
        "deskhand-app",
        &[
            "deskhand-protocol",
            "deskhand-client",
            "deskhand-host",
            "deskhand-agent",
        ],
    ),
    (
        "deskhand-tests",
        &[
            "deskhand-protocol",
            "deskhand-sandbox",
            "deskhand-sqlite",
            "deskhand-policy",
            "deskhand-git",
            "deskhand-client",
            "deskhand-relay",
            "deskhand-agent",
            "deskhand-host",
            "deskhand-cli",
        ],
    ),
    ("xtask", &[]),
];

/// Crates of others that belong to some of ours only; a trailing `*` stands for any ending.
const OTHERS: &[(&str, &[&str])] = &[
    // Only the desktop application knows a desktop library.
    ("tauri*", &["deskhand-app"]),
    ("gtk*", &["deskhand-app"]),
    ("webkit2gtk*", &["deskhand-app"]),
    ("wry", &["deskhand-app"]),
    ("tao", &["deskhand-app"]),
    ("tray-icon", &["deskhand-app"]),
    ("ksni", &["deskhand-app"]),
    ("notify-rust", &["deskhand-app"]),
    // One door each to the keyring, to repositories, to HTTP on either side, to MCP, to SQLite.
    ("keyring*", &["deskhand-host"]),
    ("git2", &["deskhand-git"]),
    ("axum*", &["deskhand-relay", "deskhand-tests"]),
    // The relay reads documents about programs that sign in.
    (
        "reqwest",
        &["deskhand-client", "deskhand-relay", "deskhand-tests"],
    ),
    ("rmcp*", &["deskhand-relay"]),
    (
        "rusqlite",
        &[
            "deskhand-sqlite",
            "deskhand-relay",
            "deskhand-agent",
            "deskhand-tests",
        ],
    ),
];

/// Our crates that wait for nothing, and so have no runtime.
const WITHOUT_TOKIO: &[&str] = &["deskhand-protocol", "deskhand-policy", "deskhand-git"];

/// A package of the workspace with the names of everything it depends on, for whatever purpose.
pub(super) struct Package {
    name: String,
    depends_on: Vec<String>,
}

/// Reads the workspace's packages from `cargo metadata`.
pub(super) fn packages() -> Result<Vec<Package>> {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec();
    let packages = metadata
        .context("ask cargo for the workspace's packages")?
        .packages;
    let names = |package: cargo_metadata::Package| Package {
        name: package.name.to_string(),
        depends_on: package
            .dependencies
            .into_iter()
            .map(|dependency| dependency.name)
            .collect(),
    };
    Ok(packages.into_iter().map(names).collect())
}

/// Returns a sentence for each dependency that is not allowed and each package not in the table.
pub(super) fn violations(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let Some((_, allowed)) = OURS.iter().find(|(ours, _)| *ours == name) else {
            found.push(format!(
                "{name}: add it to the table in xtask/src/tidy/arrows.rs"
            ));
            continue;
        };
        for dependency in &package.depends_on {
            if !may_depend(name, allowed, dependency) {
                found.push(format!("{name}: must not depend on {dependency}"));
            }
        }
    }
    found
}

fn may_depend(name: &str, allowed: &[&str], dependency: &str) -> bool {
    if OURS.iter().any(|(ours, _)| *ours == dependency) {
        return allowed.contains(&dependency);
    }
    if dependency.starts_with("tokio") && WITHOUT_TOKIO.contains(&name) {
        return false;
    }
    OTHERS
        .iter()
        .all(|(pattern, owners)| !matches(pattern, dependency) || owners.contains(&name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::{Package, packages, violations};

    fn package(name: &str, depends_on: &[&str]) -> Package {
        let depends_on = depends_on.iter().map(|name| name.to_string()).collect();
        Package {
            name: name.to_owned(),
            depends_on,
        }
    }

    #[test]
    fn listed_arrows_are_allowed() {
        let relay = package(
            "deskhand-relay",
            &["deskhand-protocol", "axum", "serde", "tokio"],
        );
        assert_eq!(
            violations(&[relay, package("deskhand-app", &["tauri"])]),
            [""; 0]
        );
    }

    #[test]
    fn the_agent_and_the_relay_never_meet() {
        assert_eq!(
            violations(&[package("deskhand-agent", &["deskhand-relay"])]),
            ["deskhand-agent: must not depend on deskhand-relay"]
        );
    }

    #[test]
    fn desktop_libraries_stay_in_the_desktop_application() {
        assert_eq!(
            violations(&[package(
                "deskhand-host",
                &["tauri-plugin-dialog", "tray-icon"]
            )]),
            [
                "deskhand-host: must not depend on tauri-plugin-dialog",
                "deskhand-host: must not depend on tray-icon"
            ]
        );
    }

    #[test]
    fn the_protocol_has_no_runtime() {
        assert_eq!(
            violations(&[package("deskhand-protocol", &["serde", "tokio"])]),
            ["deskhand-protocol: must not depend on tokio"]
        );
    }

    #[test]
    fn a_new_package_has_to_be_placed() {
        assert_eq!(
            violations(&[package("deskhand-extra", &[])]),
            ["deskhand-extra: add it to the table in xtask/src/tidy/arrows.rs"]
        );
    }

    #[test]
    fn the_workspace_is_read() {
        let packages = packages().unwrap();
        let relay = packages
            .iter()
            .find(|package| package.name == "deskhand-relay")
            .unwrap();
        assert!(
            relay
                .depends_on
                .iter()
                .any(|name| name == "deskhand-protocol")
        );
    }
}
