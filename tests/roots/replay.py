"""Carries out docker/Dockerfile without an engine, each stage in a folder that debootstrap made, and tries what comes of it.

As root, with the network and debootstrap; `make docker-check` does so.
An instruction that is not known here stops it, so that nothing of the Dockerfile goes untried. test_docker.py reads the Dockerfile
by the same means.
"""
import contextlib
import fnmatch
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from roots import KEPT, ROOT, base_system, clone, inside, mounted, run, run_isolated, say, stop_on_signals

BASES = {"debian:13-slim": "trixie"}
KNOWN = {"FROM", "RUN", "COPY", "WORKDIR", "USER", "ENV", "EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
BUILD_TOOLS = ("cc", "gcc", "ld", "as", "make", "python3", "git", "pkg-config", "curl", "wget", "dpkg-buildpackage")


# ---- reading ----


class Stage:
    def __init__(self, base, name):
        self.base, self.name = base, name
        self.steps = []

    def values(self, word):
        return [rest for what, rest in self.steps if what == word]

    def last(self, word):
        return self.values(word)[-1]

    def health_command(self):
        return json.loads(re.search(r"CMD (\[.*\])$", self.last("HEALTHCHECK"))[1])


def dockerfile(path=ROOT / "docker/Dockerfile"):
    """The stages by name, in their order."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    stages = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, rest = line.split(None, 1)
        assert word in KNOWN, line
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            stage = stages[name] = Stage(stages.get(base, base), name)
        else:
            stage.steps.append((word, rest))
    return stages


def copies(stage):
    """(stage it is from or None, sources, destination) of each COPY."""
    for rest in stage.values("COPY"):
        words = rest.split()
        origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
        assert not words[0].startswith("--"), rest
        yield origin, words[:-1], words[-1]


def context():
    """Every file that .dockerignore leaves: the last pattern that fits it or a folder above it decides."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    def left_out(path):
        parts = [str(parent) for parent in reversed(path.parents)][1:] + [str(path)]
        out = False
        for rule in rules:
            if any(fnmatch.fnmatchcase(part, rule.removeprefix("!")) for part in parts):
                out = not rule.startswith("!")
        return out

    found = set()
    for folder, folders, names in os.walk(ROOT):
        here = pathlib.Path(folder).relative_to(ROOT)
        folders[:] = [name for name in folders if not left_out(here / name) or any(rule.startswith(f"!{here / name}/") for rule in rules)]
        found |= {str(here / name) for name in names if not left_out(here / name)}
    return found


# ---- carrying out ----


def copy(source, target, into):
    """As COPY does: a folder's content, or a file under its own name where the target is a folder (`into`)."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        return
    target = target / source.name if into else target
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


class Replay:
    def __init__(self, work):
        self.work, self.stages, self.roots = work, dockerfile(), {}
        self.context = work / "context"
        for name in context():
            copy(ROOT / name, self.context / name, False)

    def root(self, name):
        if name not in self.roots:
            self.roots[name] = self.make(self.stages[name])
        return self.roots[name]

    def make(self, stage):
        origin = self.root(stage.base.name) if isinstance(stage.base, Stage) else base_system(BASES[stage.base])
        root = self.work / stage.name
        clone(origin, root)
        folder, pending = "/", copies(stage)
        for word, rest in stage.steps:
            say(f"{stage.name}: {word} {rest[:110]}")
            if word == "WORKDIR":
                folder = rest
                (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                self.copy(root, folder, *next(pending))
            elif word == "RUN":
                with mounted(root):
                    run(*inside(root, ["sh", "-c", rest], folder=folder), stdout=subprocess.DEVNULL)
        return root

    def copy(self, root, folder, origin, sources, target):
        base = self.root(origin) if origin else self.context
        into = target.endswith("/") or len(sources) > 1
        for source in sources:
            found = base / source.lstrip("/")
            assert found.exists(), f"COPY {source}: not there"
            copy(found, root / os.path.join(folder, target).lstrip("/"), into)


# ---- trying ----


class Container:
    """A stage's program: as its user, with its environment, on files that cannot be written except its volumes and /tmp."""

    def __init__(self, replay, name, **environment):
        self.stage, self.root = replay.stages[name], replay.root(name)
        self.environment = dict(value.split("=", 1) for value in self.stage.values("ENV"))
        self.environment.update(environment)
        self.folder = (self.stage.values("WORKDIR") or ["/"])[-1]
        self.process = None
        run("mount", "--bind", self.root, self.root)
        run("mount", "-o", "remount,bind,ro", self.root)
        run("mount", "-t", "tmpfs", "tmpfs", self.root / "tmp")
        for volume in self.stage.values("VOLUME"):
            at = self.root / volume.lstrip("/")
            owner = at.stat()
            run("mount", "-t", "tmpfs", "-o", f"mode=700,uid={owner.st_uid},gid={owner.st_gid}", "tmpfs", at)

    def command(self, words):
        return inside(self.root, words, folder=self.folder, user=self.stage.last("USER"), home=self.folder, **self.environment)

    def exec(self, *words):
        return subprocess.run(self.command(words), capture_output=True, text=True, timeout=60)

    def start(self, *words):
        self.process = subprocess.Popen(
            self.command(json.loads(self.stage.last("ENTRYPOINT")) + (list(words) or json.loads(self.stage.last("CMD")))))
        return self

    def health(self):
        return self.exec(*self.stage.health_command())

    def stop(self):
        self.process.send_signal(getattr(signal, (self.stage.values("STOPSIGNAL") or ["SIGTERM"])[-1]))
        return self.process.wait(30)


def eventually(look, what):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if look():
            return
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come about")


def try_image(replay):
    container = Container(replay, "reconciled", ORCH_API_TOKEN="s3cret-of-16-chars")
    assert container.exec("id", "-u").stdout.strip() not in ("", "0"), "it runs as root"
    tools = [tool for tool in BUILD_TOOLS if container.exec("sh", "-c", f"command -v {tool}").returncode == 0]
    assert not tools, f"left in the image: {tools}"
    assert "not found" not in container.exec("ldd", "/usr/bin/reconciled").stdout
    assert container.exec("sh", "-c", "echo > /usr/x").returncode != 0, "its files can be written"
    assert container.exec("sh", "-c", "command -v reconciled").stdout == "/usr/bin/reconciled\n"
    before = container.health()
    assert before.returncode == 1, before
    container.start()
    eventually(lambda: container.health().returncode == 0, "health")
    eventually(lambda: container.exec("reconciled", "health", "--ready").returncode == 0, "readiness")
    assert container.exec("reconciled", "check").returncode == 0
    assert container.stop() == 0
    assert container.health().returncode == 1
    say("image: runs without rights on read-only files, and its health check distinguishes it alive from dead")


def ask(method, path, **more):
    connection = http.client.HTTPConnection("127.0.0.1:8787", timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, headers={"Authorization": "Bearer sandbox-of-reconciled-0123456789"}, **more)
        return json.loads(connection.getresponse().read())


def try_sandbox(replay):
    """The profile of compose.yaml, except PostgreSQL: both programs on one loopback, with the settings that lie there."""
    secrets = {path.name: path.read_text().strip() for path in (ROOT / "docker/sandbox/secrets").iterdir()}
    settings = dict(re.findall(r"^(ORCH_\w+)='?(.*?)'?$", (ROOT / "docker/sandbox/reconciled.env").read_text(), re.M))
    settings = {name.removesuffix("_FILE"): secrets[value.rsplit("/", 1)[1]] if name.endswith("_FILE") else value
                for name, value in settings.items()}
    sandbox = Container(replay, "sandbox")
    shutil.copy(ROOT / "docker/sandbox/world.json", sandbox.root / "tmp")
    sandbox.start("--port", "8788", "--world", "/tmp/world.json")
    service = Container(replay, "reconciled", **settings, ORCH_API_TOKEN=secrets["orch_api_token"])
    service.start()
    eventually(lambda: service.health().returncode == 0, "health")
    told = service.exec("reconciled", "check")
    assert told.returncode == 0, told.stdout
    assert ask("GET", "/reconcile/status")["enabled"] is True
    assert (service.stop(), sandbox.stop()) == (0, 0)
    say("sandbox: the images of both find each other")


def carry_out(work):
    """Tries in a network of its own, so that no port is taken."""
    replay = Replay(work)
    for name in replay.stages:
        replay.root(name)
    run("unshare", "--net", sys.executable, __file__, "--try", work)


def try_all(work):
    run("ip", "link", "set", "lo", "up")
    replay = Replay.__new__(Replay)
    replay.stages = dockerfile()
    replay.roots = {name: work / name for name in replay.stages}
    try_image(replay)
    try_sandbox(replay)


def main():
    if sys.argv[1:2] == ["--inside"]:
        carry_out(pathlib.Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--try"]:
        try_all(pathlib.Path(sys.argv[2]))
    else:
        work = KEPT / "image"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            run_isolated(sys.executable, __file__, "--inside", work)
        finally:
            shutil.rmtree(work)
        say("docker-check: every step of the Dockerfile was carried out")


if __name__ == "__main__":
    stop_on_signals()
    main()
