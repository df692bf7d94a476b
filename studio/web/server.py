"""Serve the web app: one process per workspace; where other machines reach it, with accounts. Runs live on after it."""

import contextlib
import errno
import fcntl
import gc
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import uvicorn

from backend.errors import LaunchError
from backend.settings import Workspace, default_workspace
from studio.web.account_file import AccountFile
from studio.web.allowed_hosts import NetworkAddress, is_loopback, refuse_bad_hosts
from studio.web.log_redaction import redact_stderr

LOCK = "studio.lock"
SHUTDOWN_S = 3  # for answers under way; open event streams would never end by themselves


@contextlib.contextmanager
def workspace_lock(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace for one web server. Runs and commands do not need it.

    Raises:
        LaunchError: another studio serves this workspace; the message says which process and since when. Or the disk
            refuses.
    """
    with explained_disk_errors(workspace):
        handle = os.open(workspace.output / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaunchError(
                f"Another studio serves `{workspace.root}` already ({_holder(handle)})",
                hint="Use that one, end it with Ctrl-C first, or give this one a folder of its own with --workspace",
            ) from error
        with explained_disk_errors(workspace):
            line = f"{os.getpid()} {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode()
            os.pwrite(handle, line, 0)  # over the line of an earlier one, which takes no more room on a full disk
            os.ftruncate(handle, len(line))
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def explained_disk_errors(workspace: Workspace) -> Iterator[None]:
    """Say in words what the disk refuses. Raises LaunchError."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LaunchError(
            f"The workspace `{workspace.root}` cannot be written: {error.strerror}",
            hint=("Free some space there, or choose" if is_full else "Choose")
            + " a folder of your own with --workspace",
        ) from error


def serve(
    workspace: Workspace,
    host: str = "127.0.0.1",
    port: int = 7860,
    root_path: str = "",
    address: NetworkAddress | None = None,
) -> None:
    """Serve until Ctrl-C.

    Args:
        workspace: what to show; its folders are created.
        host: the address to listen on; only a loopback one or `localhost` needs no account.
        port: 0 takes a free one, which the first line printed names.
        root_path: the prefix that a reverse proxy strips, e.g. `/studio`.
        address: from where else it can be reached; its host is `host`.

    Raises:
        LaunchError: others could come and there is no account, the address is taken, the workspace cannot be written
            or is served already.
        StudioError: the index or the accounts cannot be opened.
    """
    address = replace(address or NetworkAddress(), host=host)
    refuse_bad_hosts(address.allowed_hosts)
    _refuse_open(workspace, address)
    with explained_disk_errors(workspace):
        workspace.prepare()
        workspace.uploads.chmod(0o700)
    with workspace_lock(workspace), _listen(host, port) as listener:
        _serve(workspace, listener, "/" + root_path.strip("/") if root_path.strip("/") else "", address)


def settle_gradio(workspace: Workspace) -> None:
    """Leave no setting of Gradio to the environment the studio happens to be started in."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(workspace.uploads)}
    os.environ["HF_HUB_OFFLINE"] = "1"  # of this process only: programs get an environment of their own


def _holder(handle: int) -> str:
    pid, _, since = os.pread(handle, 100, 0).decode(errors="replace").strip().partition(" ")
    return f"process {pid}, since {since}" if since else "it is just starting"


def _refuse_open(workspace: Workspace, address: NetworkAddress) -> None:
    """Raise LaunchError where other machines could come and nobody would have to log in."""
    if not address.is_public or AccountFile(workspace).all():
        return
    name = next(each for each in (address.host, *address.allowed_hosts) if not is_loopback(each))
    where = "" if workspace == default_workspace() else f"STUDIO_WORKSPACE={workspace.root} "
    raise LaunchError(
        f"`{name}` can be reached from other machines, and this studio has no accounts to protect it",
        hint=f"Add one first: `{where}studio user add NAME`; or leave --host and --allow-host out, and forward the "
        "port from elsewhere: `ssh -L 7860:127.0.0.1:7860 this-machine`",
    )


def _serve(workspace: Workspace, listener: socket.socket, root_path: str, address: NetworkAddress) -> None:
    redact_stderr(dict(os.environ))
    settle_gradio(workspace)
    gc.disable()  # a fifth of the start would go into looking through modules that stay for ever
    from studio.services import build_services  # noqa: PLC0415 - a taken port must be told before seconds of imports
    from studio.web.app_factory import create_app  # noqa: PLC0415 - gradio reads its environment when it is imported

    app = create_app(build_services(workspace), address)
    gc.freeze()
    gc.enable()
    host, port = listener.getsockname()[:2]
    shown_host = f"[{host}]" if ":" in host else host
    print(f"VL Studio on http://{shown_host}:{port}{root_path}/ · Ctrl-C ends it, runs go on", flush=True)  # noqa: T201
    config = uvicorn.Config(
        app, log_level="warning", root_path=root_path, timeout_graceful_shutdown=SHUTDOWN_S, server_header=False,
        proxy_headers=False,  # who a visitor is, and by what, `NetworkAddress` decides
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's waiting off only for sockets that say TCP: 40 ms of every answer
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen()  # visitors who come while the page is still being built wait for it
    except OSError as error:
        listener.close()
        raise LaunchError(
            f"Port {port} on `{host}` cannot be used: {error.strerror}",
            hint=f"Another program may have it; take another one: `studio ui --port {port + 1 if port < 65535 else 0}`",
        ) from error
    return listener
