"""The owner's side of signing in: a browser and a computer; and what signs in.

    python oauth.py client RELAY DESKHAND HOME DIRECTORY
    python oauth.py server RELAY DESKHAND HOME CONFORMANCE...

`client` is the official Python client, from the first refusal to a tool's answer, in both eras. `server` runs
the conformance tool's scenarios about an authorization server, with CONFORMANCE as the words that start it.
DESKHAND is the program, HOME that of the enrolled computer, DIRECTORY a git repository open to tasks.
"""

import asyncio
import re
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlparse

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

WHAT, RELAY, DESKHAND, HOME, *REST = sys.argv[1:]
PORT = 31415
REDIRECT = f"http://127.0.0.1:{PORT}/callback"


def consent(url):
    """Opens the page, picks its digits on the computer, and returns where the browser is sent."""
    with httpx2.Client(timeout=20) as browser:
        page = browser.get(url)
        assert page.status_code == 302, page.text
        page_url = page.headers["location"]
        page = browser.get(page_url)
        digits = re.search(r'aria-label="Code">(\d\d)<', page.text)[1]
        subprocess.run([DESKHAND, "--home", HOME, "callers", "confirm", digits], check=True)
        for _ in range(200):
            page = browser.get(page_url)
            if page.status_code == 302:
                return page.headers["location"]
            time.sleep(0.05)
    raise AssertionError("the page was not answered")


class Storage:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def provider(storage):
    sent = {}

    async def redirect(url):
        fields = parse_qs(urlparse(await asyncio.to_thread(consent, url)).query)
        sent.update({name: values[0] for name, values in fields.items()})

    async def callback():
        return AuthorizationCodeResult(code=sent["code"], state=sent["state"], iss=sent["iss"])

    metadata = OAuthClientMetadata(client_name="Python", redirect_uris=[REDIRECT])
    return OAuthClientProvider(f"{RELAY}/mcp", metadata, storage, redirect, callback)


async def client():
    for mode in ["legacy", "auto"]:
        storage = Storage()
        async with httpx2.AsyncClient(auth=provider(storage), timeout=60) as http:
            transport = streamable_http_client(f"{RELAY}/mcp", http_client=http)
            async with Client(transport, mode=mode) as mcp:
                tools = await mcp.list_tools()
                assert len(tools.tools) == 9, tools
                arguments = {"args": ["status"], "working_dir": REST[0]}
                status = await mcp.call_tool("git_inspect", arguments)
                assert not status.is_error and "On branch" in status.structured_content["stdout"], status
                first = storage.tokens.access_token
                # As it is an hour later: the client finds out by itself.
                http.auth.context.token_expiry_time = time.time() - 1
                status = await mcp.call_tool("git_inspect", arguments)
                assert not status.is_error and storage.tokens.access_token != first
                print(f"{mode}: {mcp.protocol_version}, signed in and refreshed")


def server():
    metadata = {"client_name": "conformance", "redirect_uris": [REDIRECT]}
    registered = httpx2.post(f"{RELAY}/oauth/register", json=metadata).json()
    words = ["authorization", "--url", f"{RELAY}/oauth", "--client-id", registered["client_id"]]
    words += ["--resource", f"{RELAY}/mcp", "--port", str(PORT)]
    tool = subprocess.Popen(REST + words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    for line in tool.stdout:
        said.append(line)
        if line.startswith(f"{RELAY}/oauth/authorize?"):
            httpx2.get(consent(line.strip()))
    if tool.wait() != 0:
        sys.exit("".join(said))
    print("".join(line for line in said if "assed" in line), end="")


if WHAT == "client":
    asyncio.run(client())
else:
    server()
