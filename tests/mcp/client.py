"""The official Python client against a relay with a device, in both eras.

    python client.py RELAY KEY DIRECTORY

DIRECTORY is a git repository that is open to tasks.
"""

import asyncio
import contextlib
import sys
import time

import httpx2
from mcp import types
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

RELAY, KEY, DIRECTORY = sys.argv[1:]


@contextlib.asynccontextmanager
async def connected(mode, **options):
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"{RELAY}/key/mcp", http_client=http)
        async with Client(transport, mode=mode, **options) as client:
            yield client


async def call(client, tool, arguments, **options):
    result = await client.call_tool(tool, arguments, **options)
    assert not result.is_error, result
    return result.structured_content


async def running(client):
    for _ in range(400):
        listed = await call(client, "list_tasks", {"status": "running"})
        if listed["tasks"]:
            return listed["tasks"][0]["task_id"]
        await asyncio.sleep(0.05)
    raise AssertionError("no task runs")


async def check(mode):
    async with connected(mode) as client:
        tools = await client.list_tools()
        names = [tool.name for tool in tools.tools]
        assert len(names) == 9 and "git_inspect" in names, names
        assert "wait_task" in client.instructions

        # The client checks each result against the tool's output schema.
        status = await call(client, "git_inspect", {"args": ["status"], "working_dir": DIRECTORY})
        assert "On branch" in status["stdout"], status
        refused = await client.call_tool("git_inspect", {"args": ["branch", "no"], "working_dir": DIRECTORY})
        assert refused.is_error and "denied" in refused.content[0].text, refused
        await call(client, "list_devices", {})

        # Progress, and a wait that ends before the task.
        told = []

        async def heard(progress, total, message):
            told.append((progress, message))

        await call(client, "shell_run", {"command": "sleep 6"}, progress_callback=heard)
        assert told and told[0][1].startswith("running"), told
        begun = await call(client, "shell_run", {"command": "sleep 2; echo over", "wait_seconds": 1})
        assert begun["status"] == "running" and begun["task_id"] in begun["next"], begun
        ended = await call(client, "wait_task", {"task_id": begun["task_id"]})
        assert ended["status"] == "completed" and ended["stdout"] == "over\n", ended

        # A call its client gives up: cancelled by word where there is one, else its wait ends.
        given_up = asyncio.create_task(client.call_tool("shell_run", {"command": "sleep 30"}))
        task = await running(client)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        if mode == "legacy":
            ended = await call(client, "wait_task", {"task_id": task})
            assert ended["status"] == "cancelled", ended
        else:
            shown = await call(client, "get_task", {"task_id": task})
            assert shown["status"] == "running", shown
        await call(client, "cancel_task", {"task_id": task})

        # The owner's question: shown by the client, answered yes and no.
        answers = ["once", "no"]

        async def asked(context, params):
            assert "May this run" in params.message, params
            return types.ElicitResult(action="accept", content={"answer": answers.pop(0)})

        async with connected(mode, elicitation_callback=asked) as asking:
            arguments = {"command": "echo asked", "network": ["example.com"], "working_dir": DIRECTORY}
            allowed = await asking.call_tool("shell_run", arguments)
            assert allowed.structured_content["stdout"] == "asked\n", allowed
            denied = await asking.call_tool("shell_run", arguments)
            assert denied.structured_content["code"] == "denied", denied

        took = []
        for _ in range(50):
            began = time.perf_counter()
            await call(client, "git_inspect", {"args": ["status"], "working_dir": DIRECTORY})
            took.append(1000 * (time.perf_counter() - began))
        took.sort()
        print(f"{mode}: {client.protocol_version}, git status p50 {took[25]:.1f} ms")


async def main():
    for mode in ["legacy", "auto"]:
        await check(mode)


asyncio.run(main())
