//! What one task is permitted: its workspace, network, limits, the paths it must not see, and its environment.
//!
//! Plain data and pure functions. Nothing here looks at the machine; [`spawn`](crate::spawn()) does.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::support::Tier;

/// The port inside a confined network on which the allow-list proxy listens, for HTTP and SOCKS alike.
pub const PROXY_PORT: u16 = 3128;

/// What a task may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The canonical, absolute directory the task works in.
    pub workspace: PathBuf,
    /// Whether the workspace may be written.
    pub writable: bool,
    /// Whether `.git` directories in the workspace may be written; hooks and configuration stay read-only all the same.
    pub git_writes: bool,
    /// What the task can reach.
    pub network: Network,
    /// The weakest tier that will do. Less, and the task does not start.
    pub require: Tier,
    /// What the task may use up.
    pub limits: Limits,
    /// Files and directories that must not be readable, ours among them. What does not exist is skipped.
    pub hidden: Vec<PathBuf>,
    /// An absolute, empty directory of the caller's that only this task uses, for `TMPDIR` and caches.
    ///
    /// With a private mount view a size-limited memory file system covers it; without one the task writes to the
    /// directory itself. The caller makes it (mode 0700) and removes it.
    pub private_tmp: PathBuf,
}

/// What a task can reach on the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Nothing but a loopback of its own.
    Off,
    /// These hosts, through our proxy: an exact name, or `*.` and a suffix. An empty list is nothing.
    Allow(Vec<String>),
    /// Everything this computer reaches.
    On,
}

/// What a task may use up. Time is not here: whoever started the task ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads of the whole tree.
    pub n_processes: u32,
    /// Resident memory of the whole tree.
    pub memory_bytes: u64,
    /// Size of any one file the task writes.
    pub file_size_bytes: u64,
    /// How much the task may add to what the workspace's file system holds.
    pub workspace_growth_bytes: u64,
    /// Size of each private memory file system, `private_tmp` among them.
    pub private_tmp_bytes: u64,
    /// Processor time of the whole tree.
    pub cpu: Option<Duration>,
    /// Bytes of standard output, and of standard error, after which the task is ended.
    pub output_bytes_per_stream: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        Self {
            n_processes: 256,
            memory_bytes: 2 * GIB,
            file_size_bytes: GIB,
            workspace_growth_bytes: 2 * GIB,
            private_tmp_bytes: 512 * MIB,
            cpu: None,
            output_bytes_per_stream: GIB,
        }
    }
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments. A program without a slash is looked up in the `PATH` of [`Command::env`].
    pub argv: Vec<OsString>,
    /// The working directory: absolute, or relative to the workspace; it must resolve beneath the workspace.
    pub cwd: PathBuf,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// What the program reads on its standard input; `/dev/null` when empty.
    pub stdin: Vec<u8>,
}

/// What [`base_environment`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct EnvironmentInputs<'a> {
    /// The owner's home directory.
    pub home: &'a Path,
    /// The owner's login name.
    pub user: &'a str,
    /// The directories of `PATH`, in order. Relative ones are left out.
    pub path: &'a [PathBuf],
    /// The same directory as [`Profile::private_tmp`].
    pub private_tmp: &'a Path,
    /// The same as [`Profile::network`].
    pub network: &'a Network,
    /// Variables the owner configured or the task asked for. `LANG`, `LC_*` and `TZ` come in here too.
    pub extra: &'a [(OsString, OsString)],
    /// Names in `extra` that the owner wants passed on although they look like secrets.
    pub named_secrets: &'a [OsString],
}

/// Returns the environment of a task, built from nothing.
///
/// Of `extra`, names that change what a program loads or runs (`LD_*`, `GIT_*`, `BASH_ENV`, …) are left out always, and
/// names that look like secrets unless they are listed in `named_secrets`.
pub fn base_environment(inputs: &EnvironmentInputs<'_>) -> Vec<(OsString, OsString)> {
    let tmp = inputs.private_tmp;
    let path = std::env::join_paths(inputs.path.iter().filter(|dir| dir.is_absolute()))
        .unwrap_or_default();
    let mut env: Vec<(OsString, OsString)> = [
        ("PATH", path.as_os_str()),
        ("HOME", inputs.home.as_os_str()),
        ("USER", OsStr::new(inputs.user)),
        ("LOGNAME", OsStr::new(inputs.user)),
        ("LANG", OsStr::new("C.UTF-8")),
        ("TERM", OsStr::new("dumb")),
        ("TMPDIR", tmp.as_os_str()),
        ("XDG_CACHE_HOME", tmp.join("cache").as_os_str()),
        ("npm_config_cache", tmp.join("cache/npm").as_os_str()),
        ("PIP_CACHE_DIR", tmp.join("cache/pip").as_os_str()),
        ("CI", OsStr::new("1")),
        ("GIT_TERMINAL_PROMPT", OsStr::new("0")),
        ("GIT_OPTIONAL_LOCKS", OsStr::new("0")),
        ("PAGER", OsStr::new("cat")),
    ]
    .map(|(name, value)| (name.into(), value.to_owned()))
    .into();
    let of_network: &[(&str, &str)] = match inputs.network {
        Network::Off => &[("CARGO_NET_OFFLINE", "true")],
        Network::Allow(_) => &[
            ("HTTP_PROXY", "http://127.0.0.1:3128"),
            ("HTTPS_PROXY", "http://127.0.0.1:3128"),
            ("ALL_PROXY", "socks5h://127.0.0.1:3128"),
            ("http_proxy", "http://127.0.0.1:3128"),
            ("https_proxy", "http://127.0.0.1:3128"),
            ("all_proxy", "socks5h://127.0.0.1:3128"),
            ("NO_PROXY", "localhost,127.0.0.1,::1"),
            ("no_proxy", "localhost,127.0.0.1,::1"),
        ],
        Network::On => &[],
    };
    env.extend(
        of_network
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    for (name, value) in inputs.extra {
        if may_be_passed_on(name, inputs.named_secrets) {
            env.retain(|(present, _)| present != name);
            env.push((name.clone(), value.clone()));
        }
    }
    env
}

/// Variables that make a program load or run something, beside the `LD_`, `DYLD_`, `GIT_` and `BASH_FUNC_` families.
const NEVER: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "IFS",
    "PS4",
    "PROMPT_COMMAND",
    "SHELLOPTS",
    "BASHOPTS",
    "PYTHONSTARTUP",
    "PYTHONPATH",
    "PYTHONHOME",
    "NODE_OPTIONS",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "RUBYLIB",
    "JAVA_TOOL_OPTIONS",
    "RUSTC_WRAPPER",
    "PATH",
    "HOME",
    "TMPDIR",
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
];

/// Parts of a name that say it is a secret.
const SECRET_PARTS: &[&str] = &["KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL"];

fn may_be_passed_on(name: &OsStr, named_secrets: &[OsString]) -> bool {
    let upper = name.to_string_lossy().to_ascii_uppercase();
    let odd = upper.is_empty() || upper.contains(['=', '\0']);
    let loads = NEVER.contains(&upper.as_str())
        || ["LD_", "DYLD_", "GIT_", "BASH_FUNC_"]
            .iter()
            .any(|family| upper.starts_with(family));
    let secret = SECRET_PARTS.iter().any(|part| upper.contains(part))
        && !named_secrets.iter().any(|named| named == name);
    !(odd || loads || secret)
}

/// Beneath the home directory: credentials, keys, histories, browsers, mail, chat, wallets, cloud folders, other agents.
const HIDDEN_IN_HOME: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".pki",
    ".aws",
    ".azure",
    ".config/gcloud",
    ".kube",
    ".docker",
    ".config/containers",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".config/git/credentials",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pypirc",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".config/gh",
    ".config/hub",
    ".config/glab-cli",
    ".terraform.d",
    ".terraformrc",
    ".vault-token",
    ".config/op",
    ".config/rclone",
    ".config/doctl",
    ".config/heroku",
    ".config/flyctl",
    ".fly",
    ".s3cfg",
    ".boto",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".m2/settings.xml",
    ".m2/settings-security.xml",
    ".gradle/gradle.properties",
    ".composer/auth.json",
    ".config/composer/auth.json",
    ".nuget/NuGet/NuGet.Config",
    ".config/pip/pip.conf",
    ".pip/pip.conf",
    ".password-store",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".config/kwalletrc",
    "Library/Keychains",
    ".mozilla",
    ".config/google-chrome",
    ".config/chromium",
    ".config/microsoft-edge",
    ".config/BraveSoftware",
    ".config/vivaldi",
    ".config/opera",
    "Library/Safari",
    "Library/Cookies",
    "Library/Application Support/Google/Chrome",
    "Library/Application Support/Firefox",
    "Library/Application Support/BraveSoftware",
    "Library/Application Support/Microsoft Edge",
    ".var/app",
    "snap/firefox",
    "snap/chromium",
    ".thunderbird",
    ".config/evolution",
    ".local/share/evolution",
    "Library/Mail",
    ".config/Signal",
    ".config/discord",
    ".config/Slack",
    ".config/Element",
    ".local/share/TelegramDesktop",
    ".purple",
    "Library/Messages",
    ".bitcoin",
    ".ethereum",
    ".electrum",
    ".config/Exodus",
    ".monero",
    ".bash_history",
    ".zsh_history",
    ".zhistory",
    ".local/share/fish/fish_history",
    ".python_history",
    ".node_repl_history",
    ".psql_history",
    ".mysql_history",
    ".sqlite_history",
    ".rediscli_history",
    ".irb_history",
    ".lesshst",
    ".viminfo",
    "Dropbox",
    "Nextcloud",
    "OneDrive",
    "Google Drive",
    "Library/Mobile Documents",
    ".config/Code/User/globalStorage",
    ".claude",
    ".claude.json",
    ".codex",
    ".gemini",
    ".cursor",
    ".config/goose",
    ".aider.conf.yml",
    ".config/github-copilot",
    ".local/state/keyrings",
    ".Xauthority",
    ".ICEauthority",
];

/// Outside the home directory: password files, host keys, and the sockets through which a service would act for the task.
const HIDDEN_IN_SYSTEM: &[&str] = &[
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/security/opasswd",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssl/private",
    "/etc/krb5.keytab",
    "/etc/NetworkManager/system-connections",
    "/etc/wpa_supplicant",
    "/etc/wireguard",
    "/etc/ppp",
    "/etc/kubernetes",
    "/etc/docker",
    "/etc/rancher",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/lxd",
    "/var/snap/lxd",
    "/var/lib/libvirt",
    "/var/lib/AccountsService",
    "/var/spool/cron",
    "/var/mail",
    "/var/lib/systemd/credential.secret",
    "/etc/credstore",
    "/etc/credstore.encrypted",
    "/run/credentials",
    "/run/secrets",
    "/run/docker.sock",
    "/run/docker",
    "/run/podman",
    "/run/containerd",
    "/run/crio",
    "/run/dbus",
    "/run/lxd.socket",
    "/run/libvirt",
    "/run/snapd.socket",
    "/run/snapd-snap.socket",
    "/run/cups",
    "/run/avahi-daemon",
    "/run/screen",
    "/run/tmux",
    "/run/systemd/private",
    "/run/systemd/journal",
    "/run/WSL",
    "/mnt/wslg",
    "/run/sudo",
    "/run/user",
];

/// Returns what no task may read, for the owner whose home this is. The caller adds our own files.
pub fn default_hidden(home: &Path) -> Vec<PathBuf> {
    let in_home = HIDDEN_IN_HOME.iter().map(|name| home.join(name));
    in_home
        .chain(HIDDEN_IN_SYSTEM.iter().map(PathBuf::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(env: &[(OsString, OsString)], name: &str) -> Option<String> {
        let mut found = env
            .iter()
            .filter(|(present, _)| present == name)
            .map(|(_, value)| value.to_string_lossy().into_owned());
        let first = found.next();
        assert_eq!(found.next(), None, "{name} is there twice");
        first
    }

    fn environment(
        network: &Network,
        extra: &[(&str, &str)],
        named: &[&str],
    ) -> Vec<(OsString, OsString)> {
        let extra: Vec<_> = extra
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let named: Vec<_> = named.iter().map(OsString::from).collect();
        base_environment(&EnvironmentInputs {
            home: Path::new("/home/o"),
            user: "o",
            path: &["/usr/bin".into(), "bin".into(), "/opt/rust/bin".into()],
            private_tmp: Path::new("/tmp/t"),
            network,
            extra: &extra,
            named_secrets: &named,
        })
    }

    #[test]
    fn the_environment_is_built_from_nothing() {
        let env = environment(
            &Network::Off,
            &[("LC_ALL", "de_DE.UTF-8"), ("LANG", "de_DE.UTF-8")],
            &[],
        );
        assert_eq!(
            value(&env, "PATH").as_deref(),
            Some("/usr/bin:/opt/rust/bin")
        );
        assert_eq!(value(&env, "TMPDIR").as_deref(), Some("/tmp/t"));
        assert_eq!(value(&env, "CARGO_NET_OFFLINE").as_deref(), Some("true"));
        assert_eq!(value(&env, "LANG").as_deref(), Some("de_DE.UTF-8"));
        assert_eq!(value(&env, "LC_ALL").as_deref(), Some("de_DE.UTF-8"));
        assert_eq!(
            value(&environment(&Network::On, &[], &[]), "CARGO_NET_OFFLINE"),
            None
        );
        let allow = environment(&Network::Allow(vec![]), &[], &[]);
        assert_eq!(
            value(&allow, "HTTPS_PROXY"),
            Some(format!("http://127.0.0.1:{PROXY_PORT}"))
        );
    }

    #[test]
    fn variables_that_load_code_or_carry_secrets_are_left_out() {
        let extra = [
            ("LD_PRELOAD", "x"),
            ("ld_library_path", "x"),
            ("DYLD_INSERT_LIBRARIES", "x"),
            ("GIT_SSH_COMMAND", "x"),
            ("BASH_ENV", "x"),
            ("ENV", "x"),
            ("IFS", "x"),
            ("PS4", "x"),
            ("NODE_OPTIONS", "x"),
            ("PYTHONSTARTUP", "x"),
            ("BASH_FUNC_ls%%", "x"),
            ("PATH", "evil"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("github_token", "x"),
            ("", "x"),
            ("DB_PASSWORD", "x"),
            ("A=B", "x"),
            ("NPM_TOKEN", "wanted"),
            ("FINE", "yes"),
        ];
        let env = environment(&Network::On, &extra, &["NPM_TOKEN"]);
        let plain = environment(&Network::On, &[], &[]);
        let added: Vec<_> = env
            .iter()
            .filter(|pair| !plain.contains(pair))
            .map(|(name, _)| name.to_str().unwrap())
            .collect();
        assert_eq!(added, ["NPM_TOKEN", "FINE"]);
    }

    #[test]
    fn hidden_paths_are_absolute() {
        let hidden = default_hidden(Path::new("/home/o"));
        assert!(hidden.iter().all(|path| path.is_absolute()));
        assert!(hidden.contains(&PathBuf::from("/home/o/.ssh")));
    }
}
