//! A task that wants too much ends by itself, says what it ran into, and the machine goes on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{Place, Ran, Who, alive, everyone, marker};
use deskhand_sandbox::{Limit, Limits, Tier};

const MIB: u64 = 1 << 20;

/// Runs a script with these limits on every tier for everyone and checks that it hits `limit` and nothing else.
async fn hits(limits: Limits, limit: Limit, tiers: &[Tier], script: &str) {
    for (tier, who) in tiers
        .iter()
        .flat_map(|tier| everyone().into_iter().map(move |who| (*tier, who)))
    {
        let ran = with_limits(tier, who, &limits, script).await;
        assert_eq!(ran.exit.limits_hit, [limit], "{tier} {who:?} {ran:?}");
    }
}

async fn with_limits(tier: Tier, who: Who, limits: &Limits, script: &str) -> Ran {
    let place = Place::of(who, tier);
    let mut profile = place.profile();
    profile.limits = limits.clone();
    place.sh(&profile, script).await
}

const ALL: &[Tier] = &[Tier::Full, Tier::Reduced, Tier::None];

#[tokio::test]
async fn a_fork_bomb() {
    let marker = marker();
    let limits = Limits {
        n_processes: 100,
        ..Limits::default()
    };
    let started_at = Instant::now();
    let bomb = format!(
        "exec 2>/dev/null; bomb() {{ bomb | bomb & }}; for i in $(seq 500); do sleep {marker} & done; bomb; wait"
    );
    hits(limits, Limit::ProcessLimit, ALL, &bomb).await;
    assert!(started_at.elapsed() < Duration::from_secs(60));
    assert!(alive(&marker).is_empty());
}

/// Hundreds of processes that share their pages and do nothing but fork are the worst to look at and to kill.
#[tokio::test]
async fn a_fork_bomb_that_never_rests() {
    let bomb = "python3 -c 'import os
while True:
    try: os.fork()
    except OSError: pass'";
    let started_at = Instant::now();
    hits(Limits::default(), Limit::ProcessLimit, &[Tier::Full], bomb).await;
    assert!(started_at.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn memory_taken_bit_by_bit() {
    let limits = Limits {
        memory_bytes: 200 * MIB,
        ..Limits::default()
    };
    let script = "python3 -c 'import time
x = []
while True: x.append(bytearray(10 << 20)); time.sleep(0.02)'";
    hits(limits, Limit::MemoryLimit, ALL, script).await;
}

#[tokio::test]
async fn memory_asked_for_at_once() {
    let script = "python3 -c 'x = bytearray(50 << 30)' 2>/dev/null; echo $?";
    // The address space limit refuses it; that it was asked for is seen by the filter, which tier none has not.
    hits(
        Limits::default(),
        Limit::MemoryLimit,
        &[Tier::Full, Tier::Reduced],
        script,
    )
    .await;
    let ran = with_limits(Tier::None, Who::Me, &Limits::default(), script).await;
    assert_eq!(ran.stdout, "1\n");
    let made_writable = "python3 -c 'import ctypes
c = ctypes.CDLL(None)
c.mmap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
c.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
print(c.mprotect(c.mmap(None, 50 << 30, 0, 0x22, -1, 0), 50 << 30, 3))'";
    hits(
        Limits::default(),
        Limit::MemoryLimit,
        &[Tier::Full],
        made_writable,
    )
    .await;
}

#[tokio::test]
async fn memory_that_is_only_shared_is_counted_once() {
    let limits = Limits {
        memory_bytes: 400 * MIB,
        ..Limits::default()
    };
    let script = "python3 -c 'import os, time
x = bytearray(150 << 20)
for i in range(4):
    if os.fork() == 0: time.sleep(1); os._exit(0)
for i in range(4): os.wait()
print(\"fine\")'";
    for tier in ALL {
        let ran = with_limits(*tier, Who::Me, &limits, script).await;
        assert_eq!(
            (ran.stdout.as_str(), ran.exit.limits_hit.as_slice()),
            ("fine\n", &[][..]),
            "{tier}"
        );
    }
}

#[tokio::test]
async fn one_huge_file() {
    let limits = Limits {
        file_size_bytes: 20 * MIB,
        ..Limits::default()
    };
    hits(
        limits.clone(),
        Limit::FileSizeLimit,
        ALL,
        "truncate -s 100G big",
    )
    .await;
    hits(
        limits,
        Limit::FileSizeLimit,
        ALL,
        "dd if=/dev/zero of=big bs=1M count=100000 2>/dev/null",
    )
    .await;
}

#[tokio::test]
async fn a_huge_file_by_a_program_that_goes_on() {
    let limits = Limits {
        file_size_bytes: 20 * MIB,
        ..Limits::default()
    };
    let script =
        "(dd if=/dev/zero of=big bs=1M count=100000) 2>/dev/null; ls -l big | cut -d' ' -f5";
    let ran = with_limits(Tier::Full, Who::Me, &limits, script).await;
    assert_eq!(
        (ran.stdout.trim(), ran.exit.limits_hit.as_slice()),
        ("20971520", &[Limit::FileSizeLimit][..])
    );
}

/// Python ignores the signal, and a file that is all hole shows on no disk.
#[tokio::test]
async fn a_huge_file_that_is_only_asked_for() {
    let limits = Limits {
        file_size_bytes: 20 * MIB,
        ..Limits::default()
    };
    for attempt in [
        "f.truncate(100 << 30)",
        "f.seek(100 << 30); f.write(b\"x\"); f.flush()",
        "os.posix_fallocate(f.fileno(), 0, 100 << 30)",
        "os.pwrite(f.fileno(), b\"x\", 100 << 30)",
        "[f.write(bytes(1 << 20)) for i in range(100)]",
    ] {
        let script = format!(
            "python3 -c 'import os
f = open(\"big\", \"wb\")
try: {attempt}
except OSError: print(\"refused\")'"
        );
        hits(
            limits.clone(),
            Limit::FileSizeLimit,
            &[Tier::Full, Tier::Reduced],
            &script,
        )
        .await;
    }
}

#[tokio::test]
async fn looking_far_into_a_file_is_no_limit() {
    let limits = Limits {
        file_size_bytes: 20 * MIB,
        ..Limits::default()
    };
    let place = Place::new(Tier::Full);
    let big = std::fs::File::create(place.path("workspace/big")).unwrap();
    big.set_len(100 * MIB).unwrap();
    let mut profile = place.profile();
    profile.limits = limits;
    let script = "python3 -c 'f = open(\"big\", \"r+b\"); f.seek(50 << 20); print(len(f.read(9)))
f = open(\"big\", \"rb\"); f.seek(500 << 20); print(len(f.read(9)))'";
    let ran = place.sh(&profile, script).await;
    assert_eq!(
        (ran.stdout.as_str(), ran.exit.limits_hit.as_slice()),
        ("9\n0\n", &[][..])
    );
}

#[tokio::test]
async fn many_files() {
    let limits = Limits {
        workspace_growth_bytes: 100 * MIB,
        ..Limits::default()
    };
    let script = "i=0; while :; do i=$((i+1)); head -c 5M /dev/zero > f$i; done";
    hits(limits, Limit::WorkspaceGrowthLimit, ALL, script).await;
}

#[tokio::test]
async fn processor_time_of_one_and_of_many() {
    let limits = Limits {
        cpu: Some(Duration::from_secs(1)),
        ..Limits::default()
    };
    hits(limits.clone(), Limit::CpuLimit, ALL, "while :; do :; done").await;
    let many = "while :; do python3 -c 'sum(range(3000000))'; done";
    hits(limits, Limit::CpuLimit, ALL, many).await;
}

#[tokio::test]
async fn private_memory_file_systems_are_limited() {
    let limits = Limits {
        private_tmp_bytes: 5 * MIB,
        ..Limits::default()
    };
    let script = "for d in /tmp $TMPDIR /dev/shm /var/tmp; do head -c 20M /dev/zero 2>/dev/null > $d/f; stat -c %s $d/f; done";
    let ran = with_limits(Tier::Full, Who::Me, &limits, script).await;
    assert_eq!(
        ran.stdout
            .lines()
            .map(|size| size.parse::<u64>().unwrap() <= 5 * MIB)
            .collect::<Vec<_>>(),
        [true; 4]
    );
}

/// Memory that belongs to no process does not show in any sum over processes, so none is to be had beyond a limit.
#[tokio::test]
async fn memory_that_belongs_to_no_process() {
    let limits = Limits {
        private_tmp_bytes: 5 * MIB,
        ..Limits::default()
    };
    let script = "python3 -c 'import os
try: os.memfd_create(\"x\"); print(\"memory file\")
except OSError: pass
import ctypes
c = ctypes.CDLL(None)
c.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
print(c.shmget(0, 1 << 20, 0o600) >= 0, c.shmget(0, 20 << 20, 0o600) >= 0)'";
    for who in everyone() {
        let ran = with_limits(Tier::Full, who, &limits, script).await;
        assert_eq!(ran.stdout, "True False\n", "{who:?} {ran:?}");
    }
}

#[tokio::test]
async fn another_task_is_not_disturbed() {
    let place = Place::new(Tier::Full);
    // The sleeping ones stay: a bomb whose every fork fails may be over before anybody looks.
    let bomb = "for i in $(seq 500); do sleep 600 & done; bomb() { bomb | bomb & }; bomb; wait";
    let bomb = place.command(&["sh", "-c", bomb]);
    let profile = place.profile();
    let (bombed, beside) = tokio::join!(
        place.run(&profile, bomb),
        place.sh(&profile, "for i in 1 2 3; do sh -c 'echo alive'; done")
    );
    assert_eq!(beside.stdout, "alive\nalive\nalive\n");
    assert_eq!(bombed.unwrap().exit.limits_hit, [Limit::ProcessLimit]);
}

/// Where systemd lends a branch of control groups, the tree is counted by the kernel, files in memory with it, and ends at once.
/// Nowhere else is that claimed.
#[tokio::test]
async fn a_control_group_counts_what_no_process_maps() {
    let limits = Limits {
        memory_bytes: 100 * MIB,
        ..Limits::default()
    };
    let place = Place::new(Tier::Full);
    let mut profile = place.profile();
    profile.limits = limits;
    let lent = deskhand_sandbox::probe(place.helper())
        .layers
        .iter()
        .any(|layer| layer.name == "cgroup" && layer.available);
    let script = "sleep 600 & head -c 300M /dev/zero > /dev/shm/file; echo survived";
    let ran = place.sh(&profile, script).await;
    assert_eq!(ran.applied.iter().any(|layer| layer == "cgroup"), lent);
    if lent {
        assert_eq!(ran.exit.limits_hit, [Limit::MemoryLimit], "{ran:?}");
        assert_eq!(ran.exit.returncode, -9, "{ran:?}");
    } else {
        assert_eq!(ran.stdout, "survived\n", "{ran:?}");
    }
}
