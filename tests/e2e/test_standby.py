"""A real primary and a real standby: heals go to the one that can be written, whichever comes first in the URL."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from conftest import PostgreSQL, eventually, seed
from test_heal import branch

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return found[-1] if found else pathlib.Path(shutil.which("pg_basebackup")).parent


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Standby:
    """A copy of the tests' server that follows it until it is promoted."""

    def __init__(self, server):
        self.folder, self.port = pathlib.Path(tempfile.mkdtemp(prefix="reconciled-standby-", dir="/tmp")), free_port()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.run("pg_basebackup", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-D", "data", "-R", "-c", "fast", "--no-sync")
        self.run("pg_ctl", "start", "-D", "data", "-l", "server.log", "-w",
                 "-o", f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F")

    def run(self, program, *arguments):
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        subprocess.run([*as_user, programs() / program, *arguments], cwd=self.folder, check=True, timeout=60,
                       env={"LC_ALL": "C", "PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def end(self):
        try:
            self.run("pg_ctl", "stop", "-D", "data", "-m", "immediate")
        finally:
            shutil.rmtree(self.folder)


@pytest.fixture
def standby(postgresql):
    it = Standby(postgresql.server)
    yield it
    it.end()


def url(database, *ports):
    return f"postgresql://postgres@{','.join(f'127.0.0.1:{port}' for port in ports)}/{database.name}"


def follows(standby, database):
    """The standby has all that the primary has."""
    copy = PostgreSQL(standby, database.name)
    try:
        at = database.query("SELECT pg_current_wal_lsn()::text")[0][0]
        eventually(lambda: copy.query(f"SELECT pg_last_wal_replay_lsn() >= '{at}'")[0][0], "replication")
    finally:
        copy.close()


@on_postgresql
def test_heals_go_to_the_primary_and_a_standby_is_named_until_it_is_promoted(database, sandbox, make_service, standby):
    both = make_service(ORCH_DATABASE_URL=url(database, standby.port, database.server.port))
    assert both.command("migrate").returncode == 0
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "architecture"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success"), branch("b2", "success")]})
    both.start()
    both.become_ready()
    eventually(lambda: database.query("SELECT stage FROM tasks WHERE id = 1") == [("review",)], "the heal on the primary")
    assert both.end() == 0
    follows(standby, database)

    alone = make_service(ORCH_DATABASE_URL=url(database, standby.port))
    alone.expected_errors += ['msg="the database cannot be asked"', 'msg="a pass', 'msg="the pass']
    checked = alone.command("check")
    assert checked.returncode == 1 and re.search("(?m)^database +BAD: .*standby", checked.stdout), checked.stdout
    alone.start()

    def detail():
        answer = alone.call("GET", "/readyz")
        return answer.status == 503 and "standby" in answer.json()["detail"]
    eventually(detail, "the refusal by readiness")
    health = eventually(lambda: not (it := alone.status()["upstreams"]["database"])["ok"] and it, "the refusal by status")
    assert "standby" in health["error"]
    assert alone.logged("standby")

    standby.run("pg_ctl", "promote", "-D", "data", "-w")
    copy = PostgreSQL(standby, database.name)
    copy.script("UPDATE tasks SET stage = 'development', updated_at = now() - interval '1 hour' WHERE id = 1; UPDATE jobs SET status = 'done'")
    eventually(lambda: alone.call("GET", "/readyz").status == 200, "readiness of the new primary")
    alone.call("POST", "/reconcile/run", {"side": "gate"})
    eventually(lambda: copy.query("SELECT stage FROM tasks WHERE id = 1") == [("review",)], "the heal on the new primary")
    copy.close()
