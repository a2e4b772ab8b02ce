"""Publish the reports of all jobs for browsers, read-only: `python -m flows.server.reports --host H --port P`.

Only pages are published: the page over all jobs, and the HTML files that lie directly in the folder of a job or in its
folder of single series. Nothing else of these folders is, no link is followed, and no folder is listed.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence
from email.utils import formatdate
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import click
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from flows.job.job import JobError, jobs_by_name, load_job
from tasks.home.jobs import HOME, JobSummary, jobs_page, read_summaries, read_summary
from tasks.store.places import Places

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Pages hold their styles, scripts and data themselves. They need nothing from anywhere.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_EVERY_ADDRESS = ("0.0.0.0", "::")
_LONGEST_NAME = 255
# The folder of the pages of single series, in that of their job.
SERIES = "series"


class PortError(ValueError):
    """The address cannot be listened on; the message says why, and what to choose instead."""


class _Headers:
    """Gives every answer the headers of this server, errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                further = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *further]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def application(hosts: Sequence[str] = ("*",)) -> Starlette:
    """The web server of the reports of all jobs in the jobs folder.

    Args:
        hosts: The names by which browsers may call it; `*` for any. A page of somebody else's whose name leads to this
            machine could otherwise read the reports.
    """
    routes = [
        Route("/", _jobs),
        Route(f"/{HOME}", _jobs),
        Route("/favicon.ico", _no_icon),
        Route("/{job}", _folder),
        Route("/{job}/", _page),
        Route("/{job}/{name}", _page),
        Route(f"/{{job}}/{SERIES}/{{series}}", _page),
    ]
    allowed = Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False)
    server = Starlette(routes=routes, middleware=[Middleware(_Headers), allowed])
    server.router.redirect_slashes = False
    return server


def report_folders() -> list[Path]:
    """The folders of the reports of all jobs in the jobs folder, each once. A job that cannot be read is left out."""
    found = dict[Path, None]()
    for file in jobs_by_name().values():
        try:
            found[_places(file).report.parent.resolve()] = None
        except (JobError, OSError):
            continue
    return [*found]


def _places(file: Path) -> Places:
    return load_job(file).places


async def _jobs(request: Request) -> Response:
    return HTMLResponse(await run_in_threadpool(_page_over_all_jobs))


def _page_over_all_jobs() -> str:
    found = dict[str, JobSummary]()
    for folder in report_folders():
        if folder.is_dir():
            for each in read_summaries(folder):
                if not (folder / each.job).is_symlink():
                    found.setdefault(each.job, each)
    return jobs_page([*found.values()])


async def _no_icon(request: Request) -> Response:
    """Browsers ask every site for an icon, and would report an error."""
    return Response(status_code=204)


async def _folder(request: Request) -> Response:
    if await run_in_threadpool(_read_page, request.path_params["job"], HOME) is None:
        raise HTTPException(404, "There is no such page.")
    return RedirectResponse(f"{request.url.path}/")


async def _page(request: Request) -> Response:
    given = request.path_params
    within = SERIES if "series" in given else "."
    found = await run_in_threadpool(_read_page, given["job"], given.get("series") or given.get("name", HOME), within)
    if found is None:
        raise HTTPException(404, "There is no such page.")
    content, status = found
    tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    headers = {"ETag": tag, "Last-Modified": formatdate(status.st_mtime, usegmt=True)}
    if tag in (each.strip() for each in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return HTMLResponse(content, headers=headers)


def _read_page(job: str, name: str, within: str = ".") -> tuple[bytes, os.stat_result] | None:
    """The content of a page of a job, or in a folder within; None where there is none that may be published."""
    if not name.endswith(".html") or any(_is_no_name(each) for each in (job, name)):
        return None
    for folder in report_folders():
        # A folder beside the jobs' own is nobody's report.
        if (
            not any((folder / job / each).is_symlink() for each in ("", within))
            and read_summary(folder / job) is not None
        ):
            try:
                return _read_regular(folder / job / within / name)
            except OSError:
                continue
    return None


def _is_no_name(part: str) -> bool:
    return part.startswith(".") or len(part.encode()) > _LONGEST_NAME or any(each in part for each in "/\\\0")


def _read_regular(file: Path) -> tuple[bytes, os.stat_result]:
    # What is read is what was looked at; a named pipe does not block.
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(file))
        return stream.read(), status


def listen_on(
    host: str, port: int, what: str = "The reports cannot be published", begin: str = "--reports-"
) -> socket.socket:
    """A socket that listens on an address.

    Args:
        host: The address.
        port: The port.
        what: What cannot be done where it is not free, for the message.
        begin: How the options begin that choose another host and port.

    Raises:
        PortError: the port is taken, or this machine does not have the address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(socket.SOMAXCONN)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        raise PortError(
            f"{what} at {address_of(host, port)}: "
            f"{'another program listens there' if is_taken else error.strerror or error}. "
            f"Choose another {f'{begin}port' if is_taken else f'{begin}host or {begin}port'}."
        ) from None
    return listening


def address_of(host: str, port: int) -> str:
    """The address for a browser. One of all networks has no name of its own: this machine's stands for it."""
    named = socket.gethostname() if host in _EVERY_ADDRESS else host
    return f"http://{f'[{named}]' if ':' in named else named}:{port}"


def allowed_hosts(host: str) -> list[str]:
    """The names by which browsers may call a server on this address."""
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return [host, "localhost", "127.0.0.1", "::1", "[::1]"] if is_loopback else ["*"]


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
def main(host: str, port: int) -> None:
    """Publish the reports until interrupted."""
    settings = uvicorn.Config(
        application(allowed_hosts(host)),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
        limit_concurrency=100,
    )
    uvicorn.Server(settings).run(sockets=[listen_on(host, port)])


if __name__ == "__main__":
    main()
