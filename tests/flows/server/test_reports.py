"""The server of the reports: what it publishes, and everything that it does not."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import uvicorn

from flows.server.reports import PortError, address_of, allowed_hosts, application, listen_on

SUMMARY = '{"verdict": "Published", "tone": "good", "open_alerts": 0, "nights": [], "page": "2024-03-01T000000Z.html"}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of reports with the job `sales`, and around it everything that nobody may read."""
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    for name, report in (("sales", "../out"), ("rents", "../other")):
        job = f"{{name: {name}, source: {{url: 'sqlite:///s.db', table: t}}, forecast: {{frequency: D, horizon: 7}}, "
        (jobs / f"{name}.yaml").write_text(job + f"output: {{report: '{report}'}}}}", encoding="utf-8")
    (jobs / "broken.yaml").write_text("name: [", encoding="utf-8")
    for root, name in (("out", "sales"), ("other", "rents")):
        pages = tmp_path / root / name
        pages.mkdir(parents=True)
        (pages / "index.html").write_text(f"home of {name}", encoding="utf-8")
        (pages / "2024-03-01T000000Z.html").write_text("a night", encoding="utf-8")
        (pages / "2024-03-01T000000Z.json").write_text("details", encoding="utf-8")
        (pages / "index.json").write_text(SUMMARY, encoding="utf-8")
        (pages / "series").mkdir()
        (pages / "series" / "2024-03-01T000000Z-a%2Fb ü.html").write_text("one series", encoding="utf-8")
    (tmp_path / "secret.html").write_text("secret", encoding="utf-8")
    monkeypatch.setenv("NIGHTCAST_JOBS", str(jobs))
    return tmp_path / "out"


def serve(hosts: list[str]) -> Iterator[int]:
    listening = listen_on("127.0.0.1", 0)
    settings = uvicorn.Config(application(hosts), log_level="critical", server_header=False, lifespan="off")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    """The port of a running server."""
    yield from serve(allowed_hosts("127.0.0.1"))


def raw(port: int, target: str, method: str = "GET", host: str = "127.0.0.1") -> tuple[int, str]:
    """The status and the body of an answer to a request whose target nobody has tidied up."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


def test_pages_of_all_jobs_are_published_wherever_their_reports_lie(port):
    answer = httpx.get(f"http://127.0.0.1:{port}/")
    assert 'href="sales/index.html"' in answer.text
    assert 'href="rents/index.html"' in answer.text
    for path, words in (
        ("/index.html", "2 jobs"), ("/sales/", "home of sales"), ("/sales/index.html", "home of sales"),
        ("/rents/2024-03-01T000000Z.html", "a night"),
        ("/rents/series/2024-03-01T000000Z-a%252Fb%20%C3%BC.html", "one series"),
    ):  # fmt: skip
        found = httpx.get(f"http://127.0.0.1:{port}{path}")
        assert (found.status_code, words in found.text) == (200, True), path
        assert found.headers["content-type"] == "text/html; charset=utf-8"
    moved = httpx.get(f"http://127.0.0.1:{port}/sales")
    assert (moved.status_code, moved.headers["location"]) == (307, "/sales/")


@pytest.mark.parametrize(
    "target",
    [
        "/../secret.html", "/sales/../../secret.html", "/sales/..%2f..%2fsecret.html", "/%2e%2e/secret.html",
        "/sales/%2e%2e%2f%2e%2e%2fsecret.html", "/..%5csecret.html", "//secret.html", "/sales//secret.html",
        "/sales/2024-03-01T000000Z.json", "/sales/index.json", "/sales/.hidden.html", "/.nightcast/x.html", "/out/",
        "/sales/%00.html", "/sales/" + "x" * 300 + ".html", "/sales/index.html/", "/sales/nothing.html", "/stranger/",
        "/stranger/index.html", "/sales/pipe.html", "/sales/folder.html", "/sales/link.html", "/linked/index.html",
        "/jobs/sales.yaml", "/sales/sub/index.html", "/sales/series/",
        "/sales/series/../index.json", "/sales/series/index.html", "http://127.0.0.1/../secret.html",
    ],
)  # fmt: skip
def test_nothing_else_is_published(folder, port, target):
    sales = folder / "sales"
    (sales / ".hidden.html").write_text("secret")
    (sales / "link.html").symlink_to(folder.parent / "secret.html")
    (folder / "linked").symlink_to(folder.parent / "other" / "rents")
    os.mkfifo(sales / "pipe.html")
    (sales / "folder.html").mkdir()
    (sales / "sub").mkdir()
    (sales / "sub" / "index.html").write_text("secret")
    # A folder that is no job's, beside those that are.
    (folder / "stranger").mkdir()
    (folder / "stranger" / "index.html").write_text("secret")
    (folder / "stranger" / "index.json").write_text('{"of": "another program"}')
    status, body = raw(port, target)
    assert status in (400, 404), body
    assert "secret" not in body.replace(target, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_pages_can_only_be_read(folder, port, method):
    assert raw(port, "/sales/index.html", method)[0] == 405
    assert (folder / "sales" / "index.html").read_text() == "home of sales"


def test_every_answer_forbids_what_no_page_needs(port):
    for path in ("/", "/sales/", "/nothing/", "/sales"):
        headers = httpx.get(f"http://127.0.0.1:{port}{path}").headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-cache")
        assert "server" not in headers


def test_a_page_that_has_not_changed_is_not_sent_again(folder, port):
    address = f"http://127.0.0.1:{port}/sales/index.html"
    tag = httpx.get(address).headers["etag"]
    assert httpx.get(address, headers={"If-None-Match": tag}).status_code == 304
    (folder / "sales" / "index.html").write_text("a newer home")
    assert httpx.get(address, headers={"If-None-Match": tag}).text == "a newer home"


def test_a_page_of_somebody_else_whose_name_leads_here_is_refused(port):
    assert raw(port, "/sales/", host="evil.example")[0] == 400
    assert raw(port, "/sales/", host=f"localhost:{port}")[0] == 200


def test_a_job_that_is_added_later_is_published(folder, port):
    other = folder.parent / "third" / "late"
    other.mkdir(parents=True)
    (other / "index.html").write_text("home of late")
    (other / "index.json").write_text(SUMMARY)
    assert httpx.get(f"http://127.0.0.1:{port}/late/").status_code == 404
    job = "{name: late, source: {url: 'sqlite:///s.db', table: t}, forecast: {frequency: D, horizon: 7}, "
    (folder.parent / "jobs" / "late.yaml").write_text(job + "output: {report: ../third}}")
    assert httpx.get(f"http://127.0.0.1:{port}/late/").text == "home of late"


def test_a_port_that_is_taken_and_an_address_of_another_machine_are_told_at_once():
    with closing(listen_on("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=rf"127.0.0.1:{port}: another program listens there. Choose another --rep"):
            listen_on("127.0.0.1", port)
    with pytest.raises(PortError, match=r"192.0.2.1:4201: .*Choose another --reports-host or --reports-port"):
        listen_on("192.0.2.1", 4201)
    with pytest.raises(PortError, match=r"no-such-host.invalid:4201"):
        listen_on("no-such-host.invalid", 4201)


def test_an_address_for_a_browser_names_a_machine():
    assert address_of("127.0.0.1", 4201) == "http://127.0.0.1:4201"
    assert address_of("::1", 4201) == "http://[::1]:4201"
    assert address_of("0.0.0.0", 4201) == f"http://{socket.gethostname()}:4201"
    assert allowed_hosts("10.0.0.5") == allowed_hosts("0.0.0.0") == ["*"]
