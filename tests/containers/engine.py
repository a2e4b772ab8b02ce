"""Just enough of a container engine for the Dockerfile and compose.yaml of this project, on Linux as root.

A base image cannot be had where tests run, so this machine's own root file system stands in for it. Everything else is
as an engine does it: a layer of its own over the base (overlayfs), each instruction of the Dockerfile in its order,
users without any capability, root file systems that are read-only, volumes, secrets, and names of services. Services
share one network of their own, whose only address is 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

_PASSED_ON = re.compile(r"PIP_|UV_|SSL_|REQUESTS_CA|CURL_CA|(https?|no)_proxy", re.IGNORECASE)
_PARSE = (
    "import json, sys; from dockerfile_parse import DockerfileParser; "
    "print(json.dumps([[each['instruction'], each['value']] "
    "for each in DockerfileParser(fileobj=open(sys.argv[1], 'rb')).structure]))"
)


class Mount(NamedTuple):
    """What a container sees at `target`: a file or folder of this machine; a new folder in memory if that is None."""

    source: Path | None
    target: str
    read_only: bool = False


@dataclass
class Image:
    """What the instructions of a Dockerfile made.

    Attributes:
        layer: What was added to the base.
        environment, workdir, user, entrypoint, command, healthcheck: As the instructions of these names say.
    """

    layer: Path
    environment: dict[str, str]
    workdir: str = "/"
    user: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)


def build(dockerfile: Path, context: Path, folder: Path, python: Path) -> Image:
    """Carry out a Dockerfile, one instruction after the other.

    Args:
        dockerfile: Its last stage is the image.
        context: A folder with the files that are under version control.
        folder: An empty folder for the layers.
        python: A Python that has dockerfile-parse.

    Raises:
        CalledProcessError: a command failed.
        ValueError: an instruction that nothing here knows.
    """
    parsed = subprocess.run([python, "-c", _PARSE, dockerfile], check=True, capture_output=True, text=True)
    stages: dict[str, Image] = {}
    arguments: dict[str, str] = {}
    for instruction, value in json.loads(parsed.stdout):
        if instruction == "COMMENT":
            continue
        if instruction == "FROM":
            name = value.partition(" AS ")[2] or "final"
            image = stages[name] = Image(folder / name, {"PATH": _path_of_base()})
            image.layer.mkdir(parents=True)
            arguments = {}
            continue
        if not stages:  # an ARG before the first stage names the base
            continue
        known = arguments | image.environment
        if instruction == "ARG":
            name, _, default = value.partition("=")
            arguments[name] = default.strip('"')
        elif instruction == "RUN":
            _run_step(image, value, known)
        elif instruction == "COPY":
            _copy(image, string.Template(value).safe_substitute(known), context, stages)
        else:
            _note(image, instruction, string.Template(value).safe_substitute(known))
    return image


def _path_of_base() -> str:
    return f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _note(image: Image, instruction: str, value: str) -> None:
    if instruction == "ENV":
        image.environment |= dict(each.split("=", 1) for each in shlex.split(value))
    elif instruction == "LABEL":
        image.labels |= dict(each.split("=", 1) for each in shlex.split(value))
    elif instruction == "WORKDIR":
        image.workdir = value
        (image.layer / value.strip("/")).mkdir(parents=True, exist_ok=True)
    elif instruction == "USER":
        image.user = int(value.partition(":")[0])
    elif instruction == "ENTRYPOINT":
        image.entrypoint = json.loads(value)
    elif instruction == "CMD":
        image.command = json.loads(value)
    elif instruction == "HEALTHCHECK":
        image.healthcheck = json.loads(value.partition("CMD ")[2])
    else:
        raise ValueError(f"{instruction}: add it to tests/containers/engine.py")


def _run_step(image: Image, value: str, known: Mapping[str, str]) -> None:
    mounts = []
    while value.startswith("--"):
        option, _, value = value.partition(" ")
        target = dict(each.split("=") for each in option.removeprefix("--mount=").split(","))["target"]
        cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        cache.mkdir(exist_ok=True)
        mounts.append(Mount(cache, target))
        value = value.strip()
    # As an engine gives a build the proxies, this gives it how this machine reaches packages.
    environment = {**{name: given for name, given in os.environ.items() if _PASSED_ON.match(name)}, **known}
    shell = ["/bin/sh", "-c", value]
    command = _in_layer(image, shell, environment | {"HOME": "/root"}, mounts, user=image.user, kept=image.layer)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"RUN {value}\nended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")


def _copy(image: Image, value: str, context: Path, stages: Mapping[str, Image]) -> None:
    *options, source = shlex.split(value)[:-1]
    target = shlex.split(value)[-1]
    names = [each for each in options if not each.startswith("--")] + [source]
    [origin] = [stages[each.removeprefix("--from=")].layer for each in options if each.startswith("--from=")] or [
        context
    ]
    for name in names:
        found = origin / name.strip("/")
        into = image.layer / os.path.join(image.workdir, target).strip("/")
        if found.is_dir():
            # Links instead of copies: 2 GB of them.
            shutil.copytree(found, into, symlinks=True, copy_function=os.link if origin != context else shutil.copy2)
        else:
            into = into / found.name if target.endswith("/") else into
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, into)


def _in_layer(
    image: Image, command: Sequence[str], environment: Mapping[str, str], mounts: Sequence[Mount], user: int,
    kept: Path | None = None, read_only: bool = False, confined: bool = False,
) -> list[str]:  # fmt: skip
    """The command that runs another one in the image; what it writes goes to `kept`, else it is lost."""
    beside = Path(mkdtemp(dir=image.layer.parent))
    image_root, root = beside / "image", beside / "root"
    for name in ("image", "root", "work", "upper", "work-of-image"):
        (beside / name).mkdir()
    lines = ["set -e", _overlay("/", kept or image.layer, beside / "work-of-image", image_root)]
    # What the container itself writes lies in a layer of its own.
    own_layer = _overlay(image_root, beside / "upper", beside / "work", root)
    lines += [f"mount --bind {image_root} {root}" if kept else own_layer]
    lines += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    # Only root may enter the folder of root's own Python.
    lines += [f"chmod a+x {root}{each}" for each in Path(sys.base_prefix).parents if each != Path("/")]
    for mount in mounts:
        place = f"{root}{mount.target}"
        if mount.source is None:
            lines += [f"mkdir -p {place}", f"mount -t tmpfs -o mode=1777 tmpfs {place}"]
        else:
            is_folder = mount.source.is_dir()
            lines += [f"mkdir -p {place}" if is_folder else f"mkdir -p {Path(place).parent}; touch {place}"]
            lines += [f"mount --bind {mount.source} {place}"]
            lines += [f"mount -o remount,bind,ro {place}"] if mount.read_only else []
    lines += [f"mount -o remount,ro {root}"] if read_only else []
    confinement = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"] if confined else []
    inner = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *confinement, "env", "-i"]
    inner += [f"{name}={value}" for name, value in environment.items()]
    inner += ["/bin/sh", "-c", f'cd {image.workdir} && exec "$@"', "sh", *command]
    lines += [f"exec chroot {root} {shlex.join(inner)}"]
    # The processes of a container end with its first one.
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(lines)]


def run_in(image: Image, command: Sequence[str], mounts: Sequence[Mount]) -> subprocess.CompletedProcess[str]:
    """`docker run --rm --read-only --cap-drop ALL`, without a network."""
    isolated = _in_layer(image, command, image.environment, mounts, image.user, read_only=True, confined=True)
    return subprocess.run(["unshare", "--net", *isolated], capture_output=True, text=True)


def _overlay(lower: Path | str, upper: Path, work: Path, place: Path) -> str:
    return f"mount -t overlay overlay -o index=off,lowerdir={lower},upperdir={upper},workdir={work} {place}"


class Engine:
    """Runs the services of a compose file from one image.

    Attributes:
        services: By name, as `docker compose config` resolves them.
        folder: Where volumes and logs are.
    """

    def __init__(self, image: Image, services: Mapping[str, Any], secrets: Mapping[str, Any], folder: Path) -> None:
        self.image, self.services, self.secrets, self.folder = image, services, secrets, folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.volumes = folder / "volumes"
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(services)}\n", encoding="utf-8")
        self.hosts = Mount(hosts, "/etc/hosts", read_only=True)
        network = ["unshare", "--net", "--fork", "--kill-child", "sh", "-c", "ip link set lo up && exec sleep infinity"]
        self.network = subprocess.Popen(network)

    def start(self, name: str, command: Sequence[str] | None = None, image: Image | None = None) -> None:
        """Start a service, in the background."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(self._command(name, command, image), stdout=log, stderr=log)

    def run(
        self, name: str, *command: str, entrypoint: Sequence[str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`docker compose run --rm`: a command with all that the service knows."""
        return subprocess.run(self._command(name, command, None, entrypoint), capture_output=True, text=True)

    def is_healthy(self, name: str, image: Image | None = None) -> bool:
        """Whether the health check of a service succeeds, in a container of its own beside it."""
        kind, *check = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(self._command(name, [], image, check), capture_output=True).returncode == 0

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def stop(self, name: str, patience: float) -> int:
        """Send SIGTERM to the first process of a service, and wait; its exit code.

        Raises:
            TimeoutExpired: it still runs; an engine would kill it now.
        """
        _signal_first(self.running[name], signal.SIGTERM)
        ended = self.running[name].wait(timeout=patience)
        del self.running[name]
        return ended

    def close(self) -> None:
        """End whatever still runs."""
        for process in [*self.running.values(), self.network]:
            # All other processes of the container end with its first one.
            _signal_first(process, signal.SIGKILL)
            process.wait()

    def _command(
        self, name: str, command: Sequence[str] | None, image: Image | None, entrypoint: Sequence[str] | None = None
    ) -> list[str]:
        service, used = self.services[name], image or self.image
        first = service.get("entrypoint") or used.entrypoint if entrypoint is None else entrypoint
        rest = (service.get("command") or used.command) if command is None else command
        mounts = [Mount(None, each.partition(":")[0]) for each in service.get("tmpfs") or []]
        mounts += [self._volume(each, used) for each in service.get("volumes") or []]
        mounts += [self._secret(each) for each in service.get("secrets") or []]
        environment = used.environment | (service.get("environment") or {})
        in_layer = _in_layer(
            used, [*first, *rest], environment, [*mounts, self.hosts], used.user,
            read_only=service.get("read_only", False), confined=service.get("cap_drop") == ["ALL"],
        )  # fmt: skip
        [holder] = _children(self.network.pid)
        return ["nsenter", f"--net=/proc/{holder}/ns/net", *in_layer]

    def _volume(self, given: Mapping[str, Any], image: Image) -> Mount:
        source = Path(given["source"])
        if given["type"] == "volume":
            source = self.volumes / given["source"]
            if not source.exists():
                source.mkdir(parents=True)
                # A new volume has the owner and the mode of what the image has there.
                os.chown(source, image.user, image.user)
                source.chmod(0o750)
        return Mount(source, given["target"], given.get("read_only", False))

    def _secret(self, given: Mapping[str, Any]) -> Mount:
        target = given.get("target", given["source"])
        place = target if target.startswith("/") else f"/run/secrets/{target}"
        return Mount(Path(self.secrets[given["source"]]["file"]), place, read_only=True)


def _signal_first(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    for each in _children(process.pid) if process.poll() is None else []:
        os.kill(each, number)


def _children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8")
    return [int(each) for each in found.split()]
