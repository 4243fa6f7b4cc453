"""Holds, releases and the history of changes, by commands and in two replicas."""
import json
import threading
from datetime import datetime, timedelta, timezone

import pytest

from conftest import eventually, outcomes, reconciled, seed, stages
from plane_world import Plane



def branch(name):
    return {"name": name, "statuses": [{"context": "ci", "state": "success"}]}


REPLICA_S = 2 * 5  # what the contract allows, five times


def ask(service, *arguments, status=0):
    done = reconciled(*arguments, environment={**service.environment, "ORCH_HTTP_LISTEN": service.address})
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout


def ready(service):
    """Once its tables are there and its first pass is over."""
    service.start()
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    service.become_ready()
    return service


def green(sandbox, *ids):
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}") for id in ids]})


def test_a_day_by_commands_alone(database, sandbox, make_service):
    """Check, first heal, why, hold one task, pause, resume, release, history: no curl."""
    service = ready(make_service(ORCH_RECONCILE_MODE="observe"))
    seed(database, *[{"id": id, "stage": "development", "age": 7200} for id in (1, 2, 3)])
    green(sandbox, 1, 2, 3)
    assert "database" in ask(service, "check")
    ask(service, "hold", "ORCH-2", "--reason", "looked at by hand", "--by", "ann", "--for", "1h")
    ask(service, "heal", "--reason", "all looks well", "--by", "ann")
    shown = ask(service, "pass")
    assert "held by ann until" in " ".join(shown.split())
    assert stages(database) == {1: "review", 2: "development", 3: "review"}
    why = " ".join(ask(service, "why", "orch-2").split())
    assert "Held held by ann until" in why and ": looked at by hand" in why
    assert "its gate is green, but it is held by ann" in why
    assert "task/ORCH-2" in ask(service, "holds")
    eventually(lambda: "task/ORCH-2" in ask(service, "status"), "the hold in the status")
    ask(service, "pause", "--reason", "deploy freeze", "--by", "bob")
    ask(service, "pass", status=3)
    ask(service, "resume", "--by", "bob")
    ask(service, "release", "ORCH-2", "--reason", "mended", "--by", "ann")
    ask(service, "release", "ORCH-2", status=1)
    ask(service, "pass", "ORCH-2")
    assert stages(database) == {1: "review", 2: "review", 3: "review"}
    assert ask(service, "history").count("development → review") == 3
    changes = json.loads(ask(service, "config", "history", "--json"))["items"]
    assert [(item["kind"], item["name"], item["to"], item["by"]) for item in changes] == [
        ("release", "task/ORCH-2", None, "ann"), ("setting", "enabled", True, "bob"), ("setting", "enabled", False, "bob"),
        ("setting", "mode", "heal", "ann"), ("hold", "task/ORCH-2", "looked at by hand", "ann")]
    assert changes[2]["from"] is True and changes[2]["reason"] == "deploy freeze"
    assert "deploy freeze" in ask(service, "config", "history")


@pytest.mark.parametrize("scope,held", [("repo/Acme/App", {1, 2}), ("stage/development", {1, 2}), ("ORCH-1", {1})])
def test_a_hold_keeps_what_it_names_and_nothing_else(database, sandbox, service, scope, held):
    seed(database, *[{"id": id, "stage": "development", "age": 7200} for id in (1, 2)],
         {"id": 3, "stage": "testing", "age": 7200, "repo": "acme/other"})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1"), branch("b2")]},
                  {"full_name": "acme/other", "branches": [branch("b3")]})
    ask(service, "hold", scope, "--reason", "freeze")
    dry = service.run(dry_run=True)
    assert service.run()["gate"]["held"] == len(held)
    assert {id for id, outcome in outcomes(dry).items() if outcome == "held"} == held
    assert {id for id, stage in stages(database).items() if stage == "development"} == held
    eventually(lambda: 'reconciled_held_tasks{by="hold"} %d' % len(held) in service.call("GET", "/metrics").body.decode(), "the metric")
    ask(service, "release", scope)
    assert service.run()["gate"]["advanced"] == len(held)


def test_a_start_is_held_by_its_repository(database, sandbox, make_service):
    plane = Plane(sandbox, "ORCH")
    service = ready(make_service(**plane.settings()))
    ask(service, "hold", "stage/created", "--reason", "no starts today", "--by", "ann")
    plane.issues({"number": 1, "state": "In Progress"})
    assert [item["outcome"] for item in service.run(side="plane")["items"]] == ["held"]
    assert stages(database) == {}
    ask(service, "release", "stage/created")
    assert [item["outcome"] for item in service.run(side="plane")["items"]] == ["started"]


def test_quarantine_has_a_threshold_and_an_end(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development", "age": 7200})
    green(sandbox, 1)
    ask(service, "config", "quarantine_heals=1", "quarantine_window_s=3600")
    for _ in range(2):
        assert outcomes(service.run()) == {1: "advanced"}
        database.script(f"UPDATE tasks SET stage = 'development', updated_at = {database.ago(7200)}; DELETE FROM jobs")
    assert outcomes(service.run()) == {1: "quarantined"}
    assert "healed 2 times in 1 h" in " ".join(ask(service, "why", "ORCH-1").split())
    ask(service, "release", "ORCH-1", "--reason", "the loop is mended")
    assert outcomes(service.run()) == {1: "advanced"}
    ask(service, "release", "ORCH-1", status=1)


@pytest.fixture
def replicas(database, sandbox, make_service):
    return [ready(make_service()) for _ in range(2)]


def both(replicas, wanted, what):
    eventually(lambda: all(wanted(replica.status()) for replica in replicas), what, REPLICA_S)


def test_both_replicas_show_what_one_was_told(database, sandbox, replicas):
    first, second = replicas
    assert first.put(enabled=False, by="ann", reason="freeze").status == 200
    both(replicas, lambda status: not status["enabled"] and status["pause"]["by"] == "ann", "the switch")
    assert second.put(enabled=None).status == 200
    both(replicas, lambda status: status["enabled"] and status["pause"] is None, "the switch on again")
    until = (datetime.now(timezone.utc) + timedelta(seconds=6)).isoformat()
    assert first.put(mode="observe", until=until).status == 200
    both(replicas, lambda status: status["mode"] == "observe", "the mode")
    both(replicas, lambda status: status["mode"] == "heal", "its end")
    ask(first, "hold", "stage/review", "--reason", "freeze", "--for", "6s")
    both(replicas, lambda status: status["holds"]["count"] == 1, "the hold")
    both(replicas, lambda status: status["holds"]["count"] == 0, "its end")
    seed(database, {"id": 1, "stage": "development", "age": 7200})
    green(sandbox, 1)
    assert outcomes(first.run()) == {1: "advanced"}
    both(replicas, lambda status: (status["unblocked_total"], status["last_unblocked"]) == (1, "ORCH-1"), "the heal by the other")


def test_the_totals_pass_over_no_row_that_comes_late(database, replicas):
    row = ("INSERT INTO reconcile_ledger (id, at, task_id, work_item_id, from_stage, to_stage, side, outcome)"
           " VALUES ('%s', {at}, 1, 'ORCH-%d', 'a', 'b', 'gate', 'advanced');").replace("{at}", database.ago(1))
    id = "00000000-0000-4000-8000-00000000000%d"
    database.script(row % (id % 1, 1))
    both(replicas, lambda status: status["unblocked_total"] == 1, "the first row")
    if database.url.startswith("postgresql"):  # a seq that was rolled back
        database.script("BEGIN; " + row % (id % 2, 2) + " ROLLBACK;")
    database.script(row % (id % 3, 3))
    both(replicas, lambda status: (status["unblocked_total"], status["last_unblocked"]) == (2, "ORCH-3"), "the row behind the gap")


def test_nothing_slips_past_a_hold_in_another_replica(database, sandbox, replicas):
    """A hundred tries against a busy pass: once `hold` has answered, its task stays."""
    first, second = replicas
    ids = list(range(1, 101))
    seed(database, *[{"id": id, "stage": "development", "age": 7200} for id in ids])
    green(sandbox, *ids)
    reports = []
    passing = threading.Thread(target=lambda: reports.append(second.run()))
    passing.start()
    slipped = []
    for id in ids:
        answer = first.call("PUT", f"/reconcile/holds/task/{id}", {"reason": "freeze"})
        assert answer.status == 201
        before = stages(database)[id]
        if before == "development":
            slipped.append(id)  # must stay
    passing.join()
    assert all(stages(database)[id] == "development" for id in slipped)
    second.run()
    assert all(stages(database)[id] == "development" for id in slipped)


def test_what_is_held_or_quarantined_is_listed(database, sandbox, service):
    seed(database, *[{"id": id, "stage": "development", "age": 7200} for id in (1, 2, 3)], {"id": 4, "stage": "testing", "age": 60},
         {"id": 5, "stage": "review", "age": 7200, "repo": "acme/other"})
    for n in range(4):
        database.script("INSERT INTO reconcile_ledger (id, at, task_id, work_item_id, from_stage, to_stage, side, outcome) VALUES"
                        f" ('00000000-0000-4000-8000-00000000000{n}', {database.ago(60)}, 3, 'ORCH-3', 'development', 'x', 'gate', 'advanced')")
    for scope in ("ORCH-2", "stage/testing", "repo/acme/other"):
        ask(service, "hold", scope, "--reason", "freeze")

    def listed(*options):
        return {item["task_id"] for item in json.loads(ask(service, "tasks", *options, "--json"))["items"]}
    assert listed("--held") == {2, 4, 5}
    assert listed("--held", "--stage", "testing") == {4}
    assert listed("--held", "--stuck") == {2, 5}
    assert listed("--quarantined") == {3}
    assert listed("--held", "--quarantined") == set()
    assert listed() == {1, 2, 3, 4, 5}
    shown = ask(service, "tasks").splitlines()
    assert [line.split()[5:6] for line in shown if "ORCH-3" in line] and any("quarantined" in line for line in shown)
    database.script("UPDATE tasks SET work_item_id = 'NEW-2', plane_id = NULL WHERE id = 2")  # the id was used again
    assert listed("--held") == {4, 5}
