"""What `make install` puts where, the unit that systemd starts, the manual page, and what the service reports to systemd."""
import os
import re
import signal
import socket
import subprocess

import pytest

from conftest import RECONCILED, ROOT, help_of_commands, reconciled

FILES = {"bin/reconciled", "lib/systemd/system/reconciled.service", "lib/sysusers.d/reconciled.conf", "share/man/man8/reconciled.8", "share/doc/reconciled/reconciled.env",
         "share/doc/reconciled/prometheus-rules.yml", "share/doc/reconciled/grafana-dashboard.json",
         "share/bash-completion/completions/reconciled", "share/zsh/site-functions/_reconciled",
         "share/fish/vendor_completions.d/reconciled.fish", "share/reconciled/pipeline.default.json", "share/reconciled/pipeline.schema.json"}


def make(*arguments):
    subprocess.run(["make", "-s", *arguments], cwd=ROOT, check=True, capture_output=True, timeout=300)


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("installed")
    make("install", f"PREFIX={prefix}")
    return prefix


# ---- install ----


def test_install_obeys_destdir_and_prefix_and_uninstall_leaves_nothing(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/heal")
    assert files(tmp_path) == {"opt/heal/" + name for name in FILES}
    for name in ("lib/systemd/system/reconciled.service", "share/man/man8/reconciled.8"):
        text = (tmp_path / "opt/heal" / name).read_text()
        assert "/opt/heal/" in text and "/usr/local" not in text and str(tmp_path) not in text
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/opt/heal")
    assert files(tmp_path) == set()


def test_completions_are_where_debian_expects_those_of_a_package(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert {"usr/share/bash-completion/completions/reconciled", "usr/share/zsh/vendor-completions/_reconciled",
            "usr/share/fish/vendor_completions.d/reconciled.fish"} <= files(tmp_path)


def test_what_was_installed_runs(installed):
    done = subprocess.run([installed / "bin/reconciled", "--version"], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("reconciled ")


# ---- the unit ----


def test_systemd_finds_nothing_to_complain_of_in_the_unit(installed):
    unit = installed / "lib/systemd/system/reconciled.service"
    done = subprocess.run(["systemd-analyze", "verify", "--man=yes", unit], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "MANPATH": f"{installed}/share/man"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_exposes_little(installed):
    unit = installed / "lib/systemd/system/reconciled.service"
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-500:]


def test_the_unit_restarts_it_but_not_upon_settings_that_make_no_sense():
    unit = (ROOT / "docker/reconciled.service").read_text()
    assert "\nType=notify\n" in unit and "\nRestart=on-failure\n" in unit and "\nWatchdogSec=" in unit
    assert re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.M)[1] == "2"
    assert reconciled("serve", environment={"ORCH_RECONCILE_MODE": "sleep"}).returncode == 2


@pytest.fixture
def systemd(tmp_path):
    """systemd's end of the notifications."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(30)
        yield end


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_systemd_is_told_of_readiness_progress_and_the_end(make_service, systemd):
    service = make_service(NOTIFY_SOCKET=systemd.getsockname()).start()
    assert systemd.recv(100) == b"READY=1"
    assert {systemd.recv(100) for _ in range(2)} == {b"WATCHDOG=1"}
    service.process.send_signal(signal.SIGTERM)
    received = b""
    while received != b"STOPPING=1":
        received = systemd.recv(100)
        assert received in (b"WATCHDOG=1", b"STOPPING=1")
    assert service.process.wait(30) == 0


# ---- the manual page ----


def test_the_manual_page_is_well_formed(installed):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", installed / "share/man/man8/reconciled.8"], capture_output=True,
                          text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_manual_page_names_every_command_option_and_setting():
    page = reconciled("--manual", environment={}).stdout
    usage, settings = (reconciled(*arguments, environment={}).stdout for arguments in (("--help",), ("--help", "settings")))
    commands = help_of_commands()
    names = re.findall(r"^  (ORCH_[A-Z_]+)", settings, re.M)
    assert re.findall(r"^\.It Ev (ORCH_\w+)$", page, re.M) == names and len(names) > 25
    for command in commands:
        assert re.search(rf"^\.It Cm {command}( |$)", page, re.M), command
    for option in set(re.findall(r"-(-[a-z-]+)", usage + "".join(commands.values()))):
        assert re.search(rf"^\.It Fl {option}\b", page, re.M), option
    for status in re.findall(r"\b([0-9]) [a-z]", usage.split("Exit status", 1)[1]):
        assert re.search(rf"^\.It {status}$", page, re.M), status
    assert not re.search(r"@\w+@", page)


# ---- the example settings ----


def example():
    """(name, value, given) of each setting in the example, those that are commented out too."""
    text = (ROOT / "docker/env.example").read_text()
    return [(name, value, not hidden) for hidden, name, value in re.findall(r"^(#?)(ORCH_\w+)='?(.*?)'?$", text, re.M)]


def test_the_example_settings_are_settings_and_make_sense(tmp_path):
    page = reconciled("--manual", environment={}).stdout
    known = set(re.findall(r"^\.It Ev (ORCH_\w+)$", page, re.M))
    secret = {item.split("\n", 1)[0] for item in page.split(".It Ev ") if "\n(secret" in item}
    assert {name for name, _, _ in example()} <= known | {name + "_FILE" for name in secret}
    whole = {}
    for name, value, _ in example():
        if name.endswith("_FILE") and name not in known:
            (tmp_path / name).write_text("sqlite:tasks.db" if "DATABASE" in name else
                                           "http://127.0.0.1:9/hook" if "WEBHOOK_URL" in name else "s3cret")
            whole.pop(name.removesuffix("_FILE"), None)
            value = str(tmp_path / name)
        if name != "ORCH_CA_FILE":  # a file that is not here
            whole[name] = value
    for environment in (whole, {name: value for name, value, given in example() if given}):
        done = subprocess.run([RECONCILED, "check"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                              env={"ORCH_UPSTREAM_TIMEOUT_S": "1", "all_proxy": "http://127.0.0.1:9", **environment})
        assert re.search(r"^settings  ok$", done.stdout, re.M), done.stdout
