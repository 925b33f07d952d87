"""Fills an agent's store with tasks that have ended, as the agent writes them."""

import json
import os
import sqlite3
import sys
import time
import uuid


def uid(ms):
    """A UUIDv7 of that moment."""
    value = (ms << 80) | (7 << 76) | (int.from_bytes(os.urandom(2)) & 0xFFF) << 64
    value |= (2 << 62) | (int.from_bytes(os.urandom(8)) & ((1 << 62) - 1))
    return uuid.UUID(int=value)


def rows(n):
    now = int(time.time() * 1000)
    callers = ["claude", "ci", "phone", "owner"]
    for i in range(n):
        ms = now - (n - i) * 20_000
        task_id, caller, failed = uid(ms), callers[i % 4], i % 9 == 0
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))
        command = f"make build TARGET=needle{i:06}"
        task = {
            "task_id": str(task_id), "name": str(task_id),
            "action": {"type": "shell", "command": command, "timeout": 600},
            "source": "relay", "caller": {"name": caller}, "priority": "normal",
            "durability": "full", "created_at": at, "expires_at": at,
        }
        lines = [f"compiling unit {i % 97}-{k} of the station" for k in range(12)]
        if i % 10 == 0:
            lines.append("warning: linking twice")
        outcome = {
            "status": "completed", "returncode": int(failed), "duration_ms": i % 5000,
            "n_stdout_bytes": 500, "n_stderr_bytes": 0,
        }
        result = {"outcome": outcome, "output": {"stdout": "\n".join(lines), "stderr": ""}}
        started, ended = ms * 1000, (ms + i % 5000) * 1000
        yield (
            task_id.bytes, json.dumps(task), "completed", "relay", "shell", started, 1, started, ended,
            json.dumps(result), caller, int(failed),
        ), (task_id.bytes, ended, json.dumps({"type": "attempt_finished", "attempt": 1, "outcome": outcome}))


def main(path, n):
    db = sqlite3.connect(path)
    tasks, events = zip(*rows(n))
    with db:
        db.executemany(
            "INSERT INTO tasks (task_id, task, status, source, action, created_at, attempt, started_at,"
            " finished_at, result, caller, returncode) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", tasks)
        db.executemany("INSERT INTO events (task_id, at, kind) VALUES (?,?,?)", events)
        last = db.execute("SELECT max(seq) FROM events").fetchone()[0]
        # The relay has them: they are history, not news.
        db.execute("INSERT INTO meta (name, value) VALUES ('stored_through', ?)"
                   " ON CONFLICT DO UPDATE SET value = excluded.value", (last,))


main(sys.argv[1], int(sys.argv[2]))
