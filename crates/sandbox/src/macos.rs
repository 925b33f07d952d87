//! The profile that macOS's `/usr/bin/sandbox-exec` gets. Pure text; never tried on a Mac.
//!
//! It denies by default. Paths are parameters (`-D`), never part of the text, so that no name can end a string and begin a
//! rule.

use std::ffi::OsString;
use std::path::Path;

use crate::profile::{Network, PROXY_PORT, Profile};

/// The only place it is looked for.
pub const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";

/// Services every program may look up: user names, preferences for reading, time zones.
const SERVICES: &[&str] = &[
    "com.apple.system.opendirectoryd.libinfo",
    "com.apple.system.opendirectoryd.membership",
    "com.apple.cfprefsd.daemon",
    "com.apple.cfprefsd.agent",
    "com.apple.system.notification_center",
    "com.apple.system.logger",
];

/// Checks certificates for programs that leave TLS to the system; of use only with a network.
const SERVICES_FOR_TLS: &[&str] = &["com.apple.trustd.agent", "com.apple.trustd"];

/// Names in the workspace that stay read-only, as in the Linux view.
const READ_ONLY_NAMES: &[&str] = &[
    "\\.git",
    "\\.deskhand",
    "\\.vscode",
    "\\.idea",
    "\\.claude",
    "\\.codex",
    "\\.cursor",
    "\\.gemini",
    "\\.zed",
    "\\.mcp\\.json",
    "\\.envrc",
    "\\.githooks",
    "\\.cargo/config(\\.toml)?",
];

/// Returns the arguments of `sandbox-exec` for a profile, up to the program's own words.
pub fn arguments(profile: &Profile) -> Vec<OsString> {
    let mut text = String::from(
        "(version 1)\n(deny default)\n(allow process-exec process-fork)\n(allow signal (target same-sandbox))\n\
         (allow process-info* (target same-sandbox))\n(allow sysctl-read)\n(allow pseudo-tty)\n\
         (allow file-read* file-write* (literal \"/dev/ptmx\") (regex #\"^/dev/ttys[0-9]+$\"))\n\
         (allow file-ioctl (regex #\"^/dev/ttys[0-9]+$\"))\n\
         (allow file-write* (literal \"/dev/null\") (literal \"/dev/zero\") (literal \"/dev/tty\"))\n(allow file-read*)\n\
         (allow file-write* (subpath (param \"PRIVATE_TMP\")))\n",
    );
    let mut parameters = vec![("PRIVATE_TMP".to_owned(), profile.private_tmp.clone())];
    parameters.push(("WORKSPACE".to_owned(), profile.workspace.clone()));
    if profile.writable {
        text.push_str("(allow file-write* (subpath (param \"WORKSPACE\")))\n");
        for name in READ_ONLY_NAMES
            .iter()
            .filter(|name| !(profile.git_writes && **name == "\\.git"))
        {
            text.push_str(&format!("(deny file-write* (regex (string-append \"^\" (regex-quote (param \"WORKSPACE\")) \"/(.*/)?{}(/|$)\")))\n", name.replace('\\', "\\\\")));
        }
        if profile.git_writes {
            let rest = "\"/(.*/)?\\\\.git/(.*/)?(hooks|config|config\\\\.worktree|info)(/|$)\"";
            text.push_str(&format!("(deny file-write* (regex (string-append \"^\" (regex-quote (param \"WORKSPACE\")) {rest})))\n"));
        }
    }
    for (number, hidden) in profile.hidden.iter().enumerate() {
        // By prefix, so that a path which does not exist yet is hidden as well.
        text.push_str(&format!(
            "(deny file-read* file-write* (subpath (param \"HIDDEN_{number}\")))\n"
        ));
        parameters.push((format!("HIDDEN_{number}"), hidden.clone()));
        // Renaming a parent would lead around the rule.
        for (above, ancestor) in hidden
            .ancestors()
            .skip(1)
            .filter(|ancestor| *ancestor != Path::new("/"))
            .enumerate()
        {
            text.push_str(&format!(
                "(deny file-write-unlink (literal (param \"ABOVE_{number}_{above}\")))\n"
            ));
            parameters.push((format!("ABOVE_{number}_{above}"), ancestor.to_owned()));
        }
    }
    let tls = if profile.network == Network::Off {
        &[]
    } else {
        SERVICES_FOR_TLS
    };
    for service in SERVICES.iter().chain(tls) {
        text.push_str(&format!(
            "(allow mach-lookup (global-name \"{service}\"))\n"
        ));
    }
    match &profile.network {
        Network::Off => {}
        Network::Allow(_) => text.push_str(&format!(
            "(allow network-outbound (remote ip \"localhost:{PROXY_PORT}\"))\n"
        )),
        Network::On => text.push_str("(allow network*)\n"),
    }
    let mut arguments: Vec<OsString> = vec![SANDBOX_EXEC.into(), "-p".into(), text.into()];
    for (name, path) in parameters {
        let mut parameter = OsString::from(format!("{name}="));
        parameter.push(path);
        arguments.extend(["-D".into(), parameter]);
    }
    arguments.push("--".into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Limits;
    use crate::support::Tier;

    fn profile(network: Network) -> Profile {
        Profile {
            workspace: "/Users/o/work (\"x\")".into(),
            writable: true,
            git_writes: false,
            network,
            require: Tier::Full,
            limits: Limits::default(),
            hidden: vec!["/Users/o/.ssh".into()],
            private_tmp: "/private/tmp/t".into(),
        }
    }

    fn text(profile: &Profile) -> String {
        arguments(profile)[2].to_str().unwrap().to_owned()
    }

    #[test]
    fn it_denies_by_default_and_is_balanced() {
        for network in [Network::Off, Network::Allow(vec![]), Network::On] {
            let text = text(&profile(network));
            assert!(text.starts_with("(version 1)\n(deny default)\n"));
            // Strings and regular expressions hold balanced parentheses too.
            assert_eq!(
                text.matches('(').count(),
                text.matches(')').count(),
                "{text}"
            );
            assert!(
                !text.contains("appleevent")
                    && !text.contains("lsopen")
                    && !text.contains("SecurityServer")
            );
        }
    }

    #[test]
    fn paths_are_parameters_and_never_text() {
        let profile = profile(Network::Off);
        assert!(!text(&profile).contains("/Users/o") && !text(&profile).contains("\"x\""));
        let arguments: Vec<_> = arguments(&profile)
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect();
        assert!(arguments.contains(&"WORKSPACE=/Users/o/work (\"x\")".to_owned()));
        assert!(arguments.contains(&"HIDDEN_0=/Users/o/.ssh".to_owned()));
        assert!(arguments.contains(&"ABOVE_0_0=/Users/o".to_owned()));
        assert_eq!(arguments.last().unwrap(), "--");
    }

    #[test]
    fn secrets_are_denied_after_reading_was_allowed() {
        let text = text(&profile(Network::Off));
        let allowed = text.find("(allow file-read*)").unwrap();
        assert!(
            text.find("(deny file-read* file-write* (subpath (param \"HIDDEN_0\")))")
                .unwrap()
                > allowed
        );
        assert!(text.contains("(deny file-write-unlink (literal (param \"ABOVE_0_0\")))"));
    }

    #[test]
    fn the_network_follows_the_mode() {
        assert!(!text(&profile(Network::Off)).contains("network"));
        let allow = text(&profile(Network::Allow(vec!["a.example".into()])));
        assert!(
            allow.contains("(allow network-outbound (remote ip \"localhost:3128\"))")
                && !allow.contains("(allow network*)")
        );
        assert!(text(&profile(Network::On)).contains("(allow network*)"));
    }
}
