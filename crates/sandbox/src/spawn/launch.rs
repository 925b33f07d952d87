//! The blocking part of a start: checks, descriptors, the plan, and the helper process.
//!
//! Owns what it opens until it is handed on. Never waits for the helper to do anything.

use std::ffi::OsString;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, Mode, OFlags, ResolveFlags, SealFlags};

use super::{Child, Pipe, SpawnError};
use crate::plan::{DISABLE_VARIABLE, GREETING, Plan};
use crate::profile::{Command, Profile};
use crate::support::Tier;

/// Checks everything, then starts the helper with the plan already waiting in its control socket.
pub(super) fn launch(
    helper: &Path,
    profile: &Profile,
    command: Command,
    environment: Vec<(&'static str, OsString)>,
) -> Result<Child, SpawnError> {
    check_helper(helper).map_err(|reason| SpawnError::Helper {
        path: helper.to_owned(),
        reason,
    })?;
    check_command(profile, &command)?;
    let workspace = open_workspace(&profile.workspace)?;
    let (cwd_path, cwd) = open_cwd(&profile.workspace, workspace.as_fd(), &command.cwd)?;

    let output_bytes_per_stream = profile.limits.output_bytes_per_stream;
    let plan = Plan {
        profile: profile.clone(),
        argv: command.argv,
        env: command.env,
        cwd: cwd_path,
    };
    let plan = serde_json::to_vec(&plan).map_err(|error| SpawnError::Invalid(error.to_string()))?;
    let plan = sealed("deskhand-plan", &plan)?;
    let stdin = (!command.stdin.is_empty())
        .then(|| sealed("deskhand-stdin", &command.stdin))
        .transpose()?;

    let (ours, theirs) = UnixStream::pair()?;
    let mut descriptors = vec![plan.as_fd(), workspace.as_fd(), cwd.as_fd()];
    descriptors.extend(stdin.as_ref().map(AsFd::as_fd));
    send_greeting(&ours, &descriptors)?;

    let (stdout, stdout_theirs) = io::pipe()?;
    let (stderr, stderr_theirs) = io::pipe()?;
    // No pre_exec, no uid change, an absolute path: std starts it with posix_spawn, whose cost does not grow with our size.
    let mut helper = tokio::process::Command::new(helper);
    helper.env_clear().envs(environment).current_dir("/");
    helper
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(stdout_theirs)
        .stderr(stderr_theirs);
    let helper = helper.spawn()?;

    ours.set_nonblocking(true)?;
    Ok(Child {
        pid: helper.id().unwrap_or_default(),
        tier: Tier::None,
        applied: Vec::new(),
        output_bytes_per_stream,
        stdout: pipe(stdout)?,
        stderr: pipe(stderr)?,
        control: Arc::new(tokio::net::UnixStream::from_std(ours)?),
        records: super::Records::default(),
        control_closed: false,
        exit: None,
        pipes_until: None,
        output_limit_hit: false,
        helper,
        proxy: None,
    })
}

/// Says what is wrong with the helper, if anything: it runs with the owner's whole power before it confines itself.
pub(crate) fn check_helper(helper: &Path) -> Result<(), String> {
    if !helper.is_absolute() {
        return Err("not an absolute path".into());
    }
    let dir = helper.parent().ok_or("no directory")?;
    let file = helper.metadata().map_err(|error| error.to_string())?;
    if !file.is_file() || file.mode() & 0o111 == 0 {
        return Err("not an executable file".into());
    }
    let dir = dir.metadata().map_err(|error| error.to_string())?;
    for (what, of) in [("it", &file), ("its directory", &dir)] {
        let euid = rustix::process::geteuid().as_raw();
        if of.uid() != 0 && of.uid() != euid {
            return Err(format!("{what} belongs to someone else"));
        }
        // Distributions give each user a group of the same number and umask 002; nobody else is in that group.
        let own_group = of.gid() == euid && of.gid() == rustix::process::getegid().as_raw();
        if of.mode() & 0o002 != 0 || (of.mode() & 0o020 != 0 && !own_group) {
            return Err(format!("{what} is writable by others"));
        }
    }
    Ok(())
}

/// What the helper finds in its environment: nothing, but for the layers a test takes away.
pub(crate) fn helper_environment() -> Vec<(&'static str, OsString)> {
    if !cfg!(any(debug_assertions, feature = "testing")) {
        return Vec::new();
    }
    std::env::var_os(DISABLE_VARIABLE)
        .map(|layers| (DISABLE_VARIABLE, layers))
        .into_iter()
        .collect()
}

fn check_command(profile: &Profile, command: &Command) -> Result<(), SpawnError> {
    use std::os::unix::ffi::OsStrExt;
    let nul = |text: &OsString| text.as_bytes().contains(&0);
    let invalid = |what: &str| Err(SpawnError::Invalid(what.into()));
    if command
        .argv
        .first()
        .is_none_or(|program| program.is_empty())
    {
        return invalid("there is no program");
    }
    if command.argv.iter().any(nul)
        || command
            .env
            .iter()
            .any(|(name, value)| nul(name) || nul(value))
    {
        return invalid("an argument or a variable holds a NUL byte");
    }
    if command
        .env
        .iter()
        .any(|(name, _)| name.is_empty() || name.as_bytes().contains(&b'='))
    {
        return invalid("a variable's name is empty or holds `=`");
    }
    if !profile.private_tmp.is_absolute() || !profile.private_tmp.is_dir() {
        return invalid("the private temporary directory does not exist");
    }
    if profile.hidden.iter().any(|path| !path.is_absolute()) {
        return invalid("a hidden path is not absolute");
    }
    Ok(())
}

/// Opens the workspace, which must be the canonical path of a directory that is not the root.
fn open_workspace(workspace: &Path) -> Result<OwnedFd, SpawnError> {
    let failed = |source| SpawnError::WorkingDir {
        path: workspace.to_owned(),
        source,
    };
    if workspace.canonicalize().map_err(failed)? != workspace {
        return Err(SpawnError::Invalid(format!(
            "the workspace `{}` is not a canonical path",
            workspace.display()
        )));
    }
    if workspace == Path::new("/") {
        return Err(SpawnError::Invalid(
            "the workspace is the root of the file system".into(),
        ));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(workspace, flags, Mode::empty()).map_err(|errno| failed(errno.into()))
}

/// Opens the working directory beneath the workspace and returns it with its path relative to the workspace.
///
/// The path is resolved twice: once freely, to follow links that stay inside, and once by the kernel from the workspace's
/// descriptor, which refuses to leave it whatever changes in between.
fn open_cwd(
    workspace: &Path,
    opened: BorrowedFd<'_>,
    cwd: &Path,
) -> Result<(PathBuf, OwnedFd), SpawnError> {
    let failed = |source| SpawnError::WorkingDir {
        path: cwd.to_owned(),
        source,
    };
    let outside = || SpawnError::OutsideWorkspace {
        path: cwd.to_owned(),
    };
    let resolved = workspace.join(cwd).canonicalize().map_err(failed)?;
    let relative = resolved.strip_prefix(workspace).map_err(|_| outside())?;
    let at = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(
        opened,
        at,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    ) {
        Ok(opened) => Ok((at.to_owned(), opened)),
        Err(rustix::io::Errno::XDEV) => Err(outside()),
        Err(errno) => Err(failed(errno.into())),
    }
}

/// Makes a memory file that holds `bytes` and that nobody can change.
fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    io::Seek::rewind(&mut file)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file.into())
}

fn send_greeting(control: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    rustix::net::sendmsg(
        control,
        &[IoSlice::new(GREETING)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

fn pipe(reader: io::PipeReader) -> io::Result<Pipe> {
    let receiver = tokio::net::unix::pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    Ok(Pipe {
        receiver: Some(receiver),
        n_bytes: 0,
    })
}
