//! Tries what this machine can enforce, by confining this very program once and letting it do nothing.

use std::cell::OnceCell;
use std::io::Write;
use std::path::Path;

use rustix::fs::{MemfdFlags, Mode, OFlags};

use super::supervisor::{self, Way};
use super::{Failure, Received, Step, Without, cgroup, landlock, sys};
use crate::plan::Plan;
use crate::profile::{Limits, Network, Profile};
use crate::support::{Layer, Support, Tier};

/// The argument with which this program does nothing and says so.
pub(super) const DO_NOTHING: &str = "--do-nothing";

/// Without it memory is limited by looking.
const LEND_A_GROUP: &str = "run it as the systemd unit of the package, or in a unit with `Delegate=memory pids` and `DelegateSubgroup=agent` (systemd 254)";

/// Returns what is to be had.
pub(super) fn probe() -> Support {
    let without = Without::from_environment();
    let namespaces = attempt(Way::Namespaces, &without);
    // Each is tried though the first will do: the owner is to know what there is to fall back on.
    let bubblewrap = attempt(Way::Bubblewrap, &without);
    let reduced = attempt(Way::Landlock, &without);
    let tier = match (&namespaces, &bubblewrap, &reduced) {
        (Ok(()), ..) | (_, Ok(()), _) => Tier::Full,
        (_, _, Ok(())) => Tier::Reduced,
        _ => Tier::None,
    };
    let layers = vec![
        layer("process_tree", None, None),
        of_namespaces(namespaces.err()),
        of_bubblewrap(bubblewrap.err()),
        of_landlock(&without),
        of_landlock_scopes(),
        of_seccomp(&without),
        layer("cgroup", cgroup::why_not(), Some(LEND_A_GROUP)),
    ];
    Support { tier, layers }
}

/// Confines this program once, doing nothing.
fn attempt(way: Way, without: &Without) -> Result<(), Failure> {
    let workspace = Path::new("/usr");
    let profile = Profile {
        workspace: workspace.to_owned(),
        writable: false,
        git_writes: false,
        network: Network::Off,
        require: way.tier(),
        limits: Limits::default(),
        hidden: Vec::new(),
        private_tmp: "/tmp".into(),
    };
    let argv = vec!["/proc/self/exe".into(), DO_NOTHING.into()];
    let plan = Plan {
        profile,
        argv,
        env: Vec::new(),
        cwd: ".".into(),
    };
    let open = || {
        rustix::fs::open(
            workspace,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .step("workspace")
    };
    let plan_file = rustix::fs::memfd_create("deskhand-plan", MemfdFlags::CLOEXEC).step("plan")?;
    let bytes = serde_json::to_vec(&plan).unwrap_or_default();
    std::fs::File::from(plan_file.try_clone().step("plan")?)
        .write_all(&bytes)
        .step("plan")?;
    let received = Received {
        plan,
        plan_file,
        workspace: open()?,
        cwd: open()?,
        stdin: None,
        group: None,
    };
    supervisor::attempt(way, &received, &OnceCell::new(), without)?;
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

/// A way's failure, unless it is one of the layers that are told of on their own.
fn of_its_own(failed: Option<Failure>) -> Option<String> {
    let missing = failed.and_then(|failure| failure.missing())?;
    (!["landlock", "seccomp"].contains(&missing.layer.as_str())).then(|| missing.to_string())
}

/// Namespaces and the view built in them, which stand and fall together.
fn of_namespaces(failed: Option<Failure>) -> Layer {
    let restricted =
        std::fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    let mend = match restricted.is_ok_and(|value| value.trim() == "1") {
        true => {
            "install Deskhand from its .deb or .rpm package: its AppArmor profile permits this helper user namespaces"
        }
        false => "apt-get install bubblewrap",
    };
    layer("namespaces", of_its_own(failed), Some(mend))
}

/// Only needed where namespaces are refused to us.
fn of_bubblewrap(failed: Option<Failure>) -> Layer {
    layer(
        "bubblewrap",
        of_its_own(failed),
        Some("apt-get install bubblewrap"),
    )
}

fn of_landlock(without: &Without) -> Layer {
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

fn of_landlock_scopes() -> Layer {
    let abi = sys::landlock_abi();
    let why_not = (abi < landlock::GOVERNS_SIGNALS)
        .then(|| format!("version {abi}: signals reach other processes in tier reduced"));
    layer("landlock_scopes", why_not, Some("use Linux 6.12 or newer"))
}

fn of_seccomp(without: &Without) -> Layer {
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
