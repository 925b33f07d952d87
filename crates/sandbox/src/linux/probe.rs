//! Tries what this machine can enforce, by confining this very program once and letting it do nothing.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Failure, Received, Step, Without, landlock, supervisor, sys};
use crate::plan::Plan;
use crate::profile::{Limits, Network, Profile};
use crate::protected::Inventory;
use crate::support::{Layer, Support, Tier};

/// The argument with which this program does nothing and says so.
pub(super) const DO_NOTHING: &str = "--do-nothing";

/// Returns what is to be had.
pub(super) fn probe() -> Support {
    let without = Without::from_environment();
    let full = attempt(Tier::Full, &without);
    let reduced = attempt(Tier::Reduced, &without);
    let tier = match (&full, &reduced) {
        (Ok(()), _) => Tier::Full,
        (_, Ok(())) => Tier::Reduced,
        _ => Tier::None,
    };
    let layers = vec![
        Layer {
            name: "process_tree".into(),
            available: true,
            why_not: None,
            mend: None,
        },
        namespaces(full.err()),
        landlock(&without),
        landlock_scopes(),
        seccomp(&without),
    ];
    Support { tier, layers }
}

fn attempt(tier: Tier, without: &Without) -> Result<(), Failure> {
    let workspace = Path::new("/usr");
    let profile = Profile {
        workspace: workspace.to_owned(),
        writable: false,
        git_writes: false,
        network: Network::Off,
        require: tier,
        limits: Limits::default(),
        hidden: Vec::new(),
        private_tmp: "/tmp/deskhand-probe".into(),
    };
    let argv = vec!["/proc/self/exe".into(), DO_NOTHING.into()];
    let open = || -> Result<OwnedFd, Failure> {
        rustix::fs::open(
            workspace,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .step("workspace")
    };
    let received = Received {
        plan: Plan {
            profile,
            argv,
            env: Vec::new(),
            cwd: ".".into(),
        },
        workspace: open()?,
        cwd: open()?,
        stdin: None,
    };
    supervisor::attempt(tier, &received, &Inventory::default(), without)?;
    while !matches!(sys::reap(true), sys::Reaped::NoChildren) {}
    Ok(())
}

fn layer(name: &str, why_not: Option<String>, mend: Option<&str>) -> Layer {
    let available = why_not.is_none();
    Layer {
        name: name.into(),
        available,
        why_not,
        mend: mend.filter(|_| !available).map(String::from),
    }
}

/// Namespaces and the view built in them, which stand and fall together.
fn namespaces(failed: Option<Failure>) -> Layer {
    let own = failed
        .and_then(|failure| failure.missing())
        .filter(|missing| !["landlock", "seccomp"].contains(&missing.layer.as_str()));
    let restricted =
        std::fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    let mend = match restricted.is_ok_and(|value| value.trim() == "1") {
        true => {
            "install Deskhand from its .deb or .rpm package: its AppArmor profile permits this helper user namespaces"
        }
        false => "apt-get install bubblewrap",
    };
    layer(
        "namespaces",
        own.map(|missing| missing.to_string()),
        Some(mend),
    )
}

fn landlock(without: &Without) -> Layer {
    let why_not = match (without.check("landlock"), sys::landlock_abi()) {
        (Err(failure), _) => failure.missing().map(|missing| missing.to_string()),
        (Ok(()), 0) => Some("this kernel has no Landlock, or it is not switched on".into()),
        (Ok(()), abi) if abi < landlock::GOVERNS_ALL_WRITES => Some(format!(
            "version {abi}: too old for tier reduced, enough for full"
        )),
        _ => None,
    };
    layer(
        "landlock",
        why_not,
        Some("use Linux 6.2 or newer, with `landlock` in the kernel parameter `lsm=`"),
    )
}

fn landlock_scopes() -> Layer {
    let abi = sys::landlock_abi();
    let why_not = (abi < landlock::GOVERNS_SIGNALS)
        .then(|| format!("version {abi}: signals reach other processes in tier reduced"));
    layer("landlock_scopes", why_not, Some("use Linux 6.12 or newer"))
}

fn seccomp(without: &Without) -> Layer {
    let why_not = match (without.check("seccomp"), sys::filters_are_possible()) {
        (Err(failure), _) => failure.missing().map(|missing| missing.to_string()),
        (Ok(()), false) => Some("this kernel has no system call filters".into()),
        (Ok(()), true) => None,
    };
    layer(
        "seccomp",
        why_not,
        Some("use a kernel built with CONFIG_SECCOMP_FILTER"),
    )
}
