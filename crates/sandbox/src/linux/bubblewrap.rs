//! Tier full by the distribution's bubblewrap, for machines that refuse namespaces to us and grant them to it.
//!
//! It builds the namespaces and the view from arguments; this program runs once more inside, as the inner stage, and does
//! what is left: checks that the view is the one asked for, drops capabilities, and adds Landlock and the filter.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Signal};

use super::report::{self, Report};
use super::{DISABLE_VARIABLE, Failure, Received, Step, Without, mounts, namespaces, program, sys};
use crate::plan::Plan;
use crate::profile::Network;
use crate::protected::Protected;

/// The only place it is looked for.
const BUBBLEWRAP: &str = "/usr/bin/bwrap";

/// The argument with which this program is the inner stage.
pub(super) const INNER: &str = "--inner";

/// Descriptors the inner stage gets, in the order of its arguments.
const N_INNER: usize = 5;

/// Starts bubblewrap and returns its process id. What becomes of the program is told through `report`.
pub(super) fn start(
    received: &Received,
    protected: &[Protected],
    report: &OwnedFd,
    without: &Without,
) -> Result<i32, Failure> {
    without.check("bubblewrap")?;
    check()?;
    let own = rustix::fs::open(
        "/proc/self/exe",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .step("bubblewrap/own")?;
    let supervisor = rustix::process::getpid();
    match sys::fork(0, received.group.as_ref()).step("bubblewrap/fork")? {
        sys::Forked::Parent { child } => Ok(child),
        sys::Forked::Child => {
            let failure = become_bubblewrap(received, protected, report, &own, supervisor);
            report::send(report, &Report::Failed(failure));
            sys::exit_now(1);
        }
    }
}

/// Refuses one that others could have changed, and one that is set-user-id: that is the older kind, with a lesser view.
pub(super) fn check() -> Result<(), Failure> {
    let file = std::fs::symlink_metadata(BUBBLEWRAP).step("bubblewrap/find")?;
    let fine = file.is_file() && file.uid() == 0 && file.mode() & 0o6022 == 0;
    if fine {
        Ok(())
    } else {
        Err(Failure {
            step: "bubblewrap/trust",
            errno: libc::EPERM,
        })
    }
}

fn become_bubblewrap(
    received: &Received,
    protected: &[Protected],
    report: &OwnedFd,
    own: &OwnedFd,
    supervisor: rustix::process::Pid,
) -> Failure {
    let prepared = (|| {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .step("bubblewrap/parent")?;
        if rustix::process::getppid() != Some(supervisor) {
            return Err(Failure {
                step: "bubblewrap/parent",
                errno: libc::ESRCH,
            });
        }
        // What bubblewrap itself has to say is not the program's error output.
        let stderr =
            rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 3).step("bubblewrap/stderr")?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .step("bubblewrap/null")?;
        sys::replace_standard(null.as_fd(), 2).step("bubblewrap/stderr")?;
        drop(null);
        let inner: [BorrowedFd<'_>; N_INNER] = [
            report.as_fd(),
            received.plan_file.as_fd(),
            received.workspace.as_fd(),
            received.cwd.as_fd(),
            stderr.as_fd(),
        ];
        // Kept open for the inner stage, and none but these.
        for descriptor in inner.iter().chain([&own.as_fd()]) {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty())
                .step("bubblewrap/descriptors")?;
        }
        let mut argv = vec![OsString::from(BUBBLEWRAP)];
        argv.extend(arguments(&received.plan, protected));
        argv.extend([
            "--".into(),
            format!("/proc/self/fd/{}", own.as_raw_fd()).into(),
            INNER.into(),
        ]);
        argv.extend(
            inner
                .iter()
                .map(|descriptor| descriptor.as_raw_fd().to_string().into()),
        );
        let argv = argv.into_iter().map(|word| CString::new(word.into_vec()));
        let argv: Vec<CString> = argv.collect::<Result<_, _>>().map_err(|_| Failure {
            step: "bubblewrap/arguments",
            errno: libc::EINVAL,
        })?;
        let mut keep = inner.to_vec();
        keep.push(own.as_fd());
        sys::close_all_but(&keep).step("bubblewrap/close")?;
        // Open until the program is executed.
        Ok((argv, stderr))
    })();
    let (argv, _stderr) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return failure,
    };
    // Its first process keeps its environment for all to see, so it gets none, but for what tests take away.
    let layers = std::env::var_os(DISABLE_VARIABLE).and_then(|layers| {
        let mut pair = OsString::from(DISABLE_VARIABLE);
        pair.push("=");
        pair.push(layers);
        CString::new(pair.into_vec()).ok()
    });
    let program = CString::new(BUBBLEWRAP).unwrap_or_default();
    let error = sys::execve(&program, &argv, &layers.into_iter().collect::<Vec<_>>());
    Failure {
        step: "bubblewrap/execute",
        errno: error.raw_os_error().unwrap_or(libc::EINVAL),
    }
}

/// The same view as [`mounts::build`] makes, in bubblewrap's words; order is meaning.
fn arguments(plan: &Plan, protected: &[Protected]) -> Vec<OsString> {
    let profile = &plan.profile;
    let mut arguments = Arguments::default();
    let unshare = [
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup",
    ];
    unshare.iter().for_each(|flag| arguments.push(&[flag]));
    if profile.network != Network::On {
        arguments.push(&["--unshare-net"]);
    }
    arguments.push(&["--die-with-parent"]);
    arguments.push(&["--cap-drop", "ALL"]);
    arguments.push(&["--ro-bind", "/", "/"]);
    arguments.push(&["--dev", "/dev"]);
    arguments.push(&["--proc", "/proc"]);
    let size = profile.limits.private_tmp_bytes.to_string();
    for path in mounts::TEMPORARY
        .iter()
        .map(Path::new)
        .filter(|path| path.is_dir())
    {
        arguments.push(&["--perms", "1777", "--size", &size]);
        arguments.at(
            "--tmpfs",
            &path.canonicalize().unwrap_or_else(|_| path.to_owned()),
        );
    }
    if Path::new("/run/user").is_dir() {
        arguments.push(&["--tmpfs", "/run/user"]);
    }
    let masks = mounts::existing(&profile.hidden);
    let (inside, outside): (Vec<_>, Vec<_>) = masks
        .into_iter()
        .partition(|mask| mask.path.starts_with(&profile.workspace));
    let cover = |arguments: &mut Arguments, mask: &mounts::Mask| match mask.directory {
        true => {
            let around = mask.is_around(&[&profile.workspace, &profile.private_tmp]);
            arguments.push(&["--perms", if around { "0711" } else { "0000" }]);
            arguments.at("--tmpfs", &mask.path);
        }
        false => arguments.bind("--dev-bind", Path::new("/dev/null"), &mask.path),
    };
    outside.iter().for_each(|mask| cover(&mut arguments, mask));
    arguments.push(&["--perms", "0700", "--size", &size]);
    arguments.at("--tmpfs", &profile.private_tmp);
    arguments.bind(
        if profile.writable {
            "--bind"
        } else {
            "--ro-bind"
        },
        &profile.workspace,
        &profile.workspace,
    );
    inside.iter().for_each(|mask| cover(&mut arguments, mask));
    for protected in protected {
        let path = profile.workspace.join(&protected.path);
        // Links are not followed: what a link points at is protected by its own name or not at all.
        if path
            .symlink_metadata()
            .is_ok_and(|there| !there.is_symlink())
        {
            arguments.bind(
                if protected.writable {
                    "--bind"
                } else {
                    "--ro-bind"
                },
                &path,
                &path,
            );
        }
    }
    for mask in outside.iter().chain(&inside).filter(|mask| mask.directory) {
        arguments.at("--remount-ro", &mask.path);
    }
    arguments.push(&["--chdir", "/"]);
    arguments.words
}

#[derive(Default)]
struct Arguments {
    words: Vec<OsString>,
}

impl Arguments {
    fn push(&mut self, words: &[&str]) {
        self.words.extend(words.iter().map(OsString::from));
    }

    fn at(&mut self, flag: &str, path: &Path) {
        self.words.extend([flag.into(), path.into()]);
    }

    fn bind(&mut self, flag: &str, from: &Path, to: &Path) {
        self.words.extend([flag.into(), from.into(), to.into()]);
    }
}

/// The inner stage: what the arguments after [`INNER`] name is open here. Returns the exit code.
pub(super) fn inner(arguments: &[OsString]) -> i32 {
    let numbers: Vec<i32> = arguments
        .iter()
        .filter_map(|number| number.to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    let Ok([report, plan, workspace, cwd, stderr]) = <[i32; N_INNER]>::try_from(numbers) else {
        return super::EX_USAGE;
    };
    let [report, plan, workspace, cwd, stderr] =
        [report, plan, workspace, cwd, stderr].map(sys::adopt);
    let failure = match run(&report, plan, &workspace, &cwd, stderr) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    report::send(&report, &Report::Failed(failure));
    1
}

fn run(
    report: &OwnedFd,
    plan: OwnedFd,
    workspace: &OwnedFd,
    cwd: &OwnedFd,
    stderr: OwnedFd,
) -> Result<Infallible, Failure> {
    let invalid = |_| Failure {
        step: "bubblewrap/plan",
        errno: libc::EINVAL,
    };
    let plan = {
        let file = plan;
        super::read_plan(&file).map_err(invalid)?
    };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .step("bubblewrap/parent")?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .step("bubblewrap/subreaper")?;
    sys::replace_standard(stderr.as_fd(), 2).step("bubblewrap/stderr")?;
    drop(stderr);
    sys::close_all_but(&[report.as_fd(), workspace.as_fd(), cwd.as_fd()])
        .step("bubblewrap/close")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .step("bubblewrap/dumpable")?;
    let without = Without::from_environment();
    let profile = &plan.profile;
    if let Network::Allow(_) = profile.network {
        namespaces::listen_for_proxy(report)?;
    }
    let cwd = mounts::enter(&plan, workspace.as_fd(), cwd.as_fd())?;
    check_view(&plan)?;
    let temporary = mounts::TEMPORARY
        .iter()
        .map(PathBuf::from)
        .chain([profile.private_tmp.clone()]);
    let workspace_if_writable = profile.writable.then(|| profile.workspace.clone());
    let writable: Vec<PathBuf> = temporary.chain(workspace_if_writable).collect();
    let starting = program::start(&plan, None, || {
        namespaces::confine(&plan, &writable, report, &without)?;
        Ok(cwd)
    })?;
    namespaces::reap_all(starting.executed()?, report)
}

/// Looks whether the view is the one that was asked for: the root read-only, and nothing hidden to be read.
fn check_view(plan: &Plan) -> Result<(), Failure> {
    let refused = |step| {
        Err(Failure {
            step,
            errno: libc::EPERM,
        })
    };
    let root = rustix::fs::statvfs("/").step("bubblewrap/root")?;
    if !root.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return refused("bubblewrap/root is writable");
    }
    for hidden in &plan.profile.hidden {
        let Ok(there) = hidden.canonicalize().and_then(|path| path.metadata()) else {
            continue;
        };
        let covered = if there.is_dir() {
            there.mode() & 0o066 == 0
        } else {
            there.rdev() != 0
        };
        if !covered {
            return refused("bubblewrap/a hidden path is not covered");
        }
    }
    Ok(())
}
