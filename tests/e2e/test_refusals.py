"""Databases that take reads and no writes: check, readiness, status and log name why, and go on doing so until a write succeeds."""
import os
import re
import resource

import pytest

import conftest
from conftest import eventually, outcomes, seed
from test_heal import branch

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

FROZEN = {"sqlite": "CREATE TRIGGER frozen BEFORE UPDATE ON tasks WHEN new.stage = 'review' BEGIN SELECT RAISE(ABORT, 'reviews are frozen'); END;",
          "postgresql": "CREATE FUNCTION frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.stage = 'review' THEN"
                        " RAISE 'reviews are frozen' USING DETAIL = 'secret ' || new.repo; END IF; RETURN new; END $$;"
                        "CREATE TRIGGER frozen BEFORE UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION frozen();"}
MELTED = {"sqlite": "DROP TRIGGER frozen;", "postgresql": "DROP FUNCTION frozen() CASCADE;"}
CODE = {"sqlite": "SQLite code 1811", "postgresql": "SQLSTATE P0001"}


def stuck(database, sandbox):
    seed(database, {"id": 1, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1", "success")]})


def readiness(service):
    answer = service.call("GET", "/readyz")
    return (answer.status, answer.json().get("detail"))


def test_a_trigger_that_refuses_is_named_until_a_write_succeeds(database, sandbox, make_service):
    service = make_service()
    service.expected_errors.append('msg="the database refused to move a task"')
    service.start()
    service.become_ready()
    stuck(database, sandbox)
    database.script(FROZEN[database.kind])
    report = service.run()
    words = report["items"][0]["reason"]
    assert outcomes(report) == {1: "failed"} and "reviews are frozen" in words and CODE[database.kind] in words and "secret" not in words
    assert service.logged("reviews are frozen")
    for _ in range(3):  # a look at the settings, and a pass that has nothing to write, make no difference
        assert readiness(service) == (503, words)
        health = service.status()["upstreams"]["database"]
        assert (health["ok"], health["error"]) == (False, words)
        service.run(side="plane")
    database.script(MELTED[database.kind])
    assert outcomes(service.run()) == {1: "advanced"}
    assert readiness(service) == (200, None) and service.status()["upstreams"]["database"] == {"ok": True}


def checked(service):
    """What check prints of the database; it must be bad."""
    done = service.command("check")
    lines = re.findall("(?m)^database +BAD: (.*)$", done.stdout)
    assert done.returncode == 1 and lines, done.stdout
    return lines


def assert_stays(service, words):
    """Readiness and status show words like these, whatever passes and looks come between."""
    for _ in range(3):
        status, detail = readiness(service)
        health = service.status()["upstreams"]["database"]
        assert status == 503 and re.search(words, detail) and health["ok"] is False and re.search(words, health["error"]), (detail, health)
        service.call("POST", "/reconcile/run", {"side": "gate"})


def unwritable(database, service, words):
    """A pass that finds the task green, and cannot write it."""
    service.expected_errors += ['msg="the database cannot be asked"', 'msg="a pass', 'msg="the pass']
    service.call("POST", "/reconcile/run", {"side": "gate"})
    eventually(lambda: readiness(service)[0] == 503, "the end of readiness")
    assert_stays(service, words)
    assert re.search(words, service.logged('msg="the database cannot be asked"')[0])
    assert any(re.search(words, line) for line in checked(service))


@on_sqlite
def test_a_file_that_may_only_be_read_is_named(database, sandbox, make_service, monkeypatch):
    """Root may write everything, unless it lacks the capability to."""
    service = make_service()
    assert service.command("migrate").returncode == 0
    stuck(database, sandbox)
    if os.geteuid() == 0:
        program = database.path.parent / "without-override"
        program.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -dac_override "{conftest.RECONCILED}" "$@"\n')
        program.chmod(0o755)
        monkeypatch.setattr(conftest, "RECONCILED", str(program))
        service.arguments = [str(program), "serve"]
    database.path.chmod(0o444)
    service.start()
    unwritable(database, service, "the database file .*/tasks.db may only be read")
    for path in database.path.parent.glob("tasks.db*"):  # SQLite makes the log as the file is
        path.chmod(0o644)
    assert service.end() == 0  # the connections of a process share how they have opened the log
    service.start()
    eventually(lambda: database.query("SELECT stage FROM tasks") == [("review",)], "the heal")
    eventually(lambda: readiness(service) == (200, None), "readiness")


@on_sqlite
def test_a_file_that_cannot_grow_is_named(database, sandbox, make_service):
    """The limit of a process's files is the nearest thing to a full disk that any user can make."""
    service = make_service().start()
    service.become_ready()
    stuck(database, sandbox)
    before = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
    service.expected_errors += ['msg="the database cannot be asked"', 'msg="a pass', 'msg="the pass']
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (8192, before[1]))
    service.call("POST", "/reconcile/run", {"side": "gate"})
    assert_stays(service, "the database file .*/tasks.db cannot be written .SQLite code 778.")
    assert database.query("SELECT stage FROM tasks") == [("development",)]
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, before)
    assert outcomes(service.run()) == {1: "advanced"}
    assert readiness(service) == (200, None) and service.status()["upstreams"]["database"] == {"ok": True}


@on_sqlite
def test_passes_that_have_nothing_to_write_leave_a_full_disk_shown(database, sandbox, make_service):
    service = make_service(ORCH_RECONCILE_INTERVAL_S="1").start()
    service.become_ready()
    before = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (8192, before[1]))
    stuck(database, sandbox)
    service.logged('msg="the database cannot be asked"')
    eventually(lambda: readiness(service)[0] == 503, "the end of readiness")
    database.script("UPDATE tasks SET stage = 'analysis'")  # nothing is left to be written
    seen = set()

    def passes():
        assert readiness(service)[0] == 503 and service.status()["upstreams"]["database"]["ok"] is False
        seen.add(service.status()["last_run_ts"])
        return len(seen) >= 4
    eventually(passes, "some passes")
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, before)
    eventually(lambda: readiness(service) == (200, None), "readiness")
    service.logged("the database answers again")
    assert len([line for line in service.log.read_text().splitlines() if "msg=\"the database" in line]) == 2


@on_postgresql
def test_a_role_that_may_only_read_is_named(database, sandbox, make_service):
    service = make_service()
    assert service.command("migrate").returncode == 0
    stuck(database, sandbox)
    database.script("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA public TO reader;"
                    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    service.environment["ORCH_DATABASE_URL"] = database.url.replace("postgres@", "reader@")
    try:
        service.start()
        eventually(lambda: service.status()["last_run_ts"] or not service.status()["upstreams"]["database"]["ok"], "the first pass")
        unwritable(database, service, "lacks UPDATE on tasks.stage|does not permit it .SQLSTATE 42501.: permission denied for table")
        assert database.query("SELECT stage FROM tasks") == [("development",)]
    finally:
        service.end()
        database.script("DROP OWNED BY reader; DROP ROLE reader")


@on_postgresql
def test_a_role_whose_transactions_are_read_only_is_named(database, sandbox, make_service):
    service = make_service()
    assert service.command("migrate").returncode == 0
    stuck(database, sandbox)
    database.script("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN SUPERUSER; ALTER ROLE reader SET default_transaction_read_only = on")
    service.environment["ORCH_DATABASE_URL"] = database.url.replace("postgres@", "reader@")
    try:
        service.start()
        unwritable(database, service, "default_transaction_read_only")
    finally:
        service.end()
        database.script("DROP OWNED BY reader; DROP ROLE reader")
