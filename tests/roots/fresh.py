"""The README's commands on machines that have nothing else: make fresh-check.

Each command runs in a fresh clone of what is committed, in a root folder of its own that holds a Debian release's smallest system, the
packages that the README asks for, and sudo where a user with sudo runs it. What each wrote is in build/roots/*.log.
"""
import argparse
import itertools
import os
import re
import shutil
import subprocess
import sys
import time

from roots import KEPT, ROOT, base_system, clone, inside, isolated, mounted, run, say, stop_on_signals

RELEASES = {"12": "bookworm", "13": "trixie"}
USERS = ["root", "sudo"]


def readme():
    """(releases, commands) that the README promises."""
    section = re.search(r"^## Two commands\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)[1]
    return [RELEASES[number] for number in re.findall(r"Debian (\d+)", section)], re.findall(r"^make (\S+)", section, re.M)


class Cell:
    def __init__(self, release, user, command):
        self.release, self.user, self.command = release, user, command
        self.log = KEPT / f"{release}-{user}-{command}.log"
        self.root = self.log.with_suffix(".root")
        self.passed, self.seconds, self.last = False, 0, "not run"

    def __str__(self):
        return f"{self.release} {self.user}: make {self.command}"

    def run(self, bundle, packages):
        say(f"\n== {self}")
        shutil.rmtree(self.root, ignore_errors=True)
        base = base_system(self.release, *packages, *(["sudo"] if self.user == "sudo" else []))
        clone(base, self.root)
        shutil.copy(bundle, self.root / "source.bundle")
        started = time.monotonic()
        try:
            with isolated(sys.executable, __file__, "--inside", self.release, self.user, self.command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as process:
                self.follow(process.stdout)
            self.passed = process.returncode == 0
        finally:
            self.seconds = round(time.monotonic() - started)
            shutil.rmtree(self.root)

    def follow(self, output):
        with open(self.log, "w") as log:
            for line in output:
                print(line, end="", flush=True)
                log.write(line)
                self.last = line.strip() or self.last


    def run_inside(self):
        """In namespaces of its own."""
        name, home = ("root", "/root") if self.user == "root" else ("dev", "/home/dev")
        packages = KEPT / f"{self.release}.debs"  # fetched but once
        packages.mkdir(exist_ok=True)
        with mounted(self.root):
            run("mount", "--bind", packages, self.root / "var/cache/apt/archives")
            if self.user == "sudo":
                run("chroot", self.root, "useradd", "--create-home", name)
                (self.root / "etc/sudoers.d/dev").write_text("dev ALL=(ALL) NOPASSWD: ALL\n")
            script = f"git clone -q -c advice.detachedHead=false /source.bundle reconciled && cd reconciled && exec make {self.command}"
            return run_as_init(inside(self.root, ["sh", "-c", script], folder=home, user=name, home=home, USER=name, TERM="dumb"))


def run_as_init(words):
    """Runs a command as the first process of a machine does: what is left without a parent is waited for too."""
    process = subprocess.Popen(words)
    while True:
        pid, status = os.wait()
        if pid == process.pid:
            return os.waitstatus_to_exitcode(status) % 256


def table(cells):
    rows = [("release", "user", "command", "result", "seconds", "last line")]
    rows += [(cell.release, cell.user, f"make {cell.command}", "passed" if cell.passed else "FAILED", str(cell.seconds), cell.last[:60])
             for cell in cells]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def chosen():
    """The command line, and the cells that it asks for; all, where it names none."""
    releases, commands = readme()
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--packages", type=str.split, required=True)
    for name in ("releases", "users", "commands"):
        parser.add_argument(f"--{name}", type=str.split)
    given = parser.parse_args()
    lists = []
    for name, known in (("releases", releases), ("users", USERS), ("commands", commands)):
        lists.append(getattr(given, name) or known)
        if not set(lists[-1]) <= set(known):
            parser.error(f"{name}: {' '.join(known)}")
    return given, [Cell(*cell) for cell in itertools.product(*lists)]


def main():
    given, cells = chosen()
    try:
        for cell in cells:
            cell.run(given.bundle, given.packages)
    finally:
        say("")
        table(cells)
        passed = sum(cell.passed for cell in cells)
        say(f"{passed} passed, {len(cells) - passed} failed")
    return passed < len(cells)


if __name__ == "__main__":
    stop_on_signals()
    sys.exit(Cell(*sys.argv[2:]).run_inside() if sys.argv[1:2] == ["--inside"] else main())
