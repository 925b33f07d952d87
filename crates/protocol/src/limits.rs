//! Every size and time bound that two programs have to agree on, with its reason.

use std::time::Duration;

/// Largest HTTP request body a relay reads. A command line is at most 128 KiB on Linux
/// (`MAX_ARG_STRLEN`); twice that leaves room for JSON escapes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// Largest frame on a link, both ways. A result is cut to head and tail to fit.
pub const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// Read and write buffer of a WebSocket. The library's default of 128 KiB costs 134 KB per idle
/// device; with 4 KiB it is 6 KB.
pub const SOCKET_BUFFER_BYTES: usize = 4 * 1024;

/// Tasks a device's mailbox holds that the device has not accepted yet.
pub const MAILBOX_TASKS: usize = 100;

/// Unfinished tasks a device holds; beyond, it withholds `accepted`.
pub const MAX_UNFINISHED_TASKS: usize = 1_000;

/// Tasks in one batch.
pub const MAX_BATCH_TASKS: usize = 20;

/// First bytes of a stream in an answer.
pub const ANSWER_HEAD_BYTES: usize = 16 * 1024;

/// Last bytes of a stream in an answer.
pub const ANSWER_TAIL_BYTES: usize = 48 * 1024;

/// First bytes of a stream that the device's store keeps.
pub const STORE_HEAD_BYTES: u64 = 4 * 1024 * 1024;

/// Last bytes of a stream that the device's store keeps.
pub const STORE_TAIL_BYTES: u64 = 4 * 1024 * 1024;

/// Most bytes one range call returns; base64 of it fits a frame.
pub const MAX_RANGE_BYTES: u64 = 512 * 1024;

/// Chunks of output are put together up to this size before they are stored.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks of output are put together for at most this long before they are stored.
pub const CHUNK_DELAY: Duration = Duration::from_millis(50);

/// Bytes of a chunk shown in its event.
pub const PREVIEW_BYTES: usize = 512;

/// How long a caller of `/webhook` waits when it does not say.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// The longest a caller may wait: the strictest hosted callers cut a request at 45 s.
pub const MAX_WAIT: Duration = Duration::from_secs(40);

/// How long a task may run when its request does not say, in seconds.
pub const DEFAULT_TIMEOUT_SECONDS: u32 = 600;

/// The longest a task may run, in seconds.
pub const MAX_TIMEOUT_SECONDS: u32 = 3_600;

/// How long a queued task waits for its device when its request does not say.
pub const DEFAULT_EXPIRY: Duration = Duration::from_secs(24 * 3_600);

/// The longest a queued task may wait for its device.
pub const MAX_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How long a caller's task id names the same task; afterwards the name is free again.
pub const NAME_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// A device that lost its link less than this ago is *reconnecting*, not offline.
pub const RECONNECT_WINDOW: Duration = Duration::from_secs(15);

/// What is not acknowledged within this on a live link is sent again.
pub const RESEND_AFTER: Duration = Duration::from_secs(5);

/// How long the relay waits for a device's answer to a request about a running task.
pub const ASK_DEVICE: Duration = Duration::from_secs(1);

/// Beat of the link; two missed answers close it.
pub const HEARTBEAT: Duration = Duration::from_secs(20);

/// Longest path, title or name in a request, in bytes (`PATH_MAX` on Linux).
pub const MAX_TEXT_BYTES: usize = 4_096;

/// Most words in a command.
pub const MAX_ARGS: usize = 4_096;

/// How long a question to the owner stays open.
pub const QUESTION_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How long a sign of life of somebody who could answer counts, at most.
pub const MAX_ATTENDANCE: Duration = Duration::from_secs(5 * 60);

/// Days an entry stays in a relay's timeline.
pub const TIMELINE_DAYS: i64 = 30;

/// Most entries a relay keeps per device.
pub const TIMELINE_ENTRIES: i64 = 200_000;

/// Largest message to a watcher of a timeline, `subscribed` excepted.
pub const TIMELINE_MESSAGE_BYTES: usize = 1_024;

/// Largest `subscribed`; a longer backlog follows as ordinary messages.
pub const SUBSCRIBED_BYTES: usize = 64 * 1024;

/// Entries a watcher gets that names no cursor.
pub const SNAPSHOT_ENTRIES: u32 = 50;

/// Updates a watcher may be behind before it is told `gap` and read for again.
pub const WATCHER_BEHIND: usize = 1_000;

/// How often the relay pings a watcher.
pub const WATCHER_PING: Duration = Duration::from_secs(30);

/// How long a watcher may be silent.
pub const WATCHER_SILENCE: Duration = Duration::from_secs(60);

/// How long a stream ticket is good for.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);

/// WebSocket close code: a later session of the same device took over.
pub const CLOSE_FENCED: u16 = 4409;
