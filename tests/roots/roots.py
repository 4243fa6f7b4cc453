"""Root folders of Debian releases, made by debootstrap, and what runs inside them.

As root, with the network and debootstrap. Each folder is kept in build/roots for the next time, as debootstrap left it: work on a copy.
"""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEPT = ROOT / "build/roots"
MIRROR = "http://deb.debian.org/debian"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def say(text):
    print(text, flush=True)


def run(*words, **more):
    subprocess.run(words, check=True, **more)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextlib.contextmanager
def isolated(*words, **more):
    """The process of a command in mount and process namespaces of its own: at the end no mount and no process of it is left, even if
    this program is interrupted or killed."""
    process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", *words],
                               preexec_fn=die_with_parent, **more)
    try:
        yield process
        process.wait()
    finally:
        # The first process of the namespace takes all others with it; unshare returns when they are gone.
        for child in children_of(process):
            os.kill(child, signal.SIGKILL)
        process.wait()


def children_of(process):
    if process.poll() is not None:
        return []
    return [int(pid) for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def run_isolated(*words, **more):
    with isolated(*words, **more) as process:
        pass
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, words)


def stop_on_signals():
    """A signal that ends the program lets it clean up first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))


def base_system(release, *packages):
    """The folder of a release's smallest system with these packages; not to be changed."""
    root = KEPT / "-".join((release, *packages))
    if not root.exists():
        say(f"debootstrap {release} {' '.join(packages)}")
        made = root.with_name(root.name + ".new")
        shutil.rmtree(made, ignore_errors=True)
        KEPT.mkdir(parents=True, exist_ok=True)
        run_isolated("debootstrap", "--variant=minbase", *(["--include=" + ",".join(packages)] if packages else []), release, made, MIRROR)
        made.rename(root)
    return root


def clone(origin, root):
    run("cp", "-a", "--reflink=auto", origin, root)


@contextlib.contextmanager
def mounted(root):
    """What an engine gives a container besides its files."""
    run("mount", "-t", "proc", "proc", root / "proc")
    run("mount", "--rbind", "/dev", root / "dev")
    run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "dev/shm")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    try:
        yield
    finally:
        run("umount", "-R", "-l", root / "dev")
        run("umount", "-l", root / "proc")


def inside(root, words, folder="/", user="root", home="/root", **environment):
    """The command that runs words in a root folder, with nothing else of this machine's environment."""
    return ["chroot", f"--userspec={user}", root, "env", "-i", "-C", folder, PATH, f"HOME={home}",
            *(f"{name}={value}" for name, value in environment.items()), *words]
