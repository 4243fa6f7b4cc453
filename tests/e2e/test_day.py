"""README's day of an operator: every command of it, in their order, by sh. What only root may do, and systemd, is played by shims:
paths below /usr/local and /etc/reconciled lie in a folder of the test, systemctl starts what the unit names."""
import os
import re
import socket
import stat
import subprocess

import pytest

from conftest import ROOT, seed, stages
from test_heal import branch

SECTION = (ROOT / "README.md").read_text().split("### An operator's day", 1)[1].split("\n### ", 1)[0]
SCRIPT = "".join(re.findall(r"^```sh\n(.*?)^```$", SECTION, re.M | re.S))

SHIMS = {
    "sudo": 'if [ "$1" = -u ]; then shift 2; fi; exec "$@"',
    "install": """for word; do shift; case $word in -g) skip=1 ;; *) [ "${skip:-}" ] || set -- "$@" "$word"; skip= ;; esac; done
                  exec /usr/bin/install "$@" """,
    "git": '[ "$*" = pull ]',
    "systemd-sysusers": 'grep -q "^u reconciled " "$PREFIX/lib/sysusers.d/reconciled.conf"',
    "sudoedit": 'cat "$EDITS" >> "$1"',
    # As systemd would: the program and the settings that the unit names.
    "systemctl": """unit=$PREFIX/lib/systemd/system/reconciled.service
        stop() { [ ! -e "$PID" ] || { kill "$(cat "$PID")"; while [ -e "/proc/$(cat "$PID")/exe" ]; do sleep 0.05; done; rm "$PID"; }; }
        case "$*" in
        daemon-reload) exit 0 ;;
        'enable --now reconciled') ;;
        'restart reconciled') stop ;;
        stop) stop; exit 0 ;;
        *) echo "systemctl $*" >&2; exit 1 ;;
        esac
        set -a; . "$(sed -n 's/^EnvironmentFile=//p' "$unit" | sed "s|/etc/reconciled|$ETC|")"; set +a
        $(sed -n 's/^ExecStart=//p' "$unit") </dev/null >/dev/null 2>>"$LOG" & echo $! >"$PID"
        until grep -c msg=listening "$LOG" | grep -q "$(cat "$PID".starts 2>/dev/null || echo 1)"; do sleep 0.05; done
        echo 2 >"$PID".starts""",
    # The program finds the settings of the unit at a fixed place.
    "reconciled": 'exec "$PREFIX/bin/reconciled" "$@" --env-file "$ETC/reconciled.env"',
}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def machine(tmp_path, database, sandbox):
    """run(script) runs it on a machine where nothing is installed yet; what was printed."""
    bin, prefix, etc, port = tmp_path / "bin", tmp_path / "usr", tmp_path / "etc", free_port()
    bin.mkdir()
    for name, text in SHIMS.items():
        (bin / name).write_text("#!/bin/sh\n" + text + "\n")
        (bin / name).chmod((bin / name).stat().st_mode | stat.S_IXUSR)
    (tmp_path / "edits").write_text(f"ORCH_DATABASE_URL='{database.url}'\nORCH_GITEA_URL='{sandbox.url}/gitea'\n"
                                    f"ORCH_HTTP_LISTEN=127.0.0.1:{port}\nORCH_RECONCILE_INTERVAL_S=86400\n")
    (tmp_path / "log").touch()
    environment = {**os.environ, "PATH": f"{bin}:{prefix}/bin:{os.environ['PATH']}", "PREFIX": str(prefix), "ETC": str(etc),
                   "EDITS": str(tmp_path / "edits"), "PID": str(tmp_path / "pid"), "LOG": str(tmp_path / "log")}

    def run(script):
        script = script.replace("/usr/local", str(prefix)).replace("/etc/reconciled", str(etc))
        script = script.replace("localhost:8787", f"127.0.0.1:{port}")
        done = subprocess.run(["sh", "-eu"], input=script, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (done.stdout, done.stderr, (tmp_path / "log").read_text())
        return done.stdout

    yield run
    subprocess.run([bin / "systemctl", "stop"], env=environment, check=True, timeout=60)


def before(word):
    """The script up to the line that begins with this, and the rest."""
    at = SCRIPT.index("\n" + word) + 1
    return SCRIPT[:at], SCRIPT[at:]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_every_command_of_the_day_does_what_it_says(machine, database, sandbox):
    install, rest = before("sudo -u reconciled reconciled run --dry-run")
    printed = machine(install)
    assert re.findall(r"^(\w+) +(?:ok|off|BAD)", printed, re.M) == [
        "settings", "pipeline", "database", "gitea", "plane", "telegram", "notify", "webhooks"]
    assert "BAD" not in printed
    seed(database, {"id": 5, "stage": "development"}, {"id": 7, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b5", "success"), branch("b7", "failure")]})
    start, rest = rest.split("sudo reconciled tasks", 1)
    printed = machine(start)
    assert '"outcome": "advanced"' in printed  # what it would move
    assert "\nok\n" in printed and re.search(r"^Mode +observe", printed, re.M)
    assert stages(database) == {5: "development", 7: "development"}
    day, upgrade = ("sudo reconciled tasks" + rest).split("git pull", 1)
    printed = machine(day)
    assert re.findall(r"^(ORCH-\d) +#\d +development .*(stuck)", printed, re.M)[:2] == [("ORCH-5", "stuck"), ("ORCH-7", "stuck")]
    outcomes = re.findall(r"^(ORCH-\d) +#\d +\S+(?: → \w+)? +(held|red|advanced) ", printed, re.M)
    assert sorted(outcomes[:2]) == [("ORCH-5", "held"), ("ORCH-7", "red")]
    assert sorted(outcomes[2:]) == [("ORCH-5", "advanced"), ("ORCH-7", "red")]
    assert re.search(r"^mode +heal +override by .+: looked through$", printed, re.M)
    assert re.findall(r"^\d\d:\d\d:\d\d  (\S+)", printed, re.M) == ["ORCH-5"]
    assert re.search(r"^Switch +off by ann until .+: moving Gitea$", printed, re.M) and re.search(r"^enabled +true ", printed, re.M)
    assert re.search(r"^Task +ORCH-7 .*^Stage +development.*^Verdict +red: .*failed", printed, re.M | re.S)
    assert stages(database) == {5: "review", 7: "development"}
    assert machine("git pull" + upgrade).rstrip().endswith("ok")
