"""What one repository that fails as a whole does to all others: nothing. Single tasks, issues and projects are in
test_failure_matrix.py."""
import concurrent.futures
import re

import pytest

from conftest import eventually, outcomes, seed, stages
from failure_matrix import reports
from test_heal import branch
from test_tasks import explain

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
PASSES_DEADLINE_S = 120


def first_pass(service):
    eventually(lambda: service.status()["last_run_ts"], "the first pass")
    return service


def repository(name, ids, state="success", **more):
    return {"full_name": f"acme/{name}", "branches": [branch("main"), *[branch(f"b{id}", state, **more) for id in ids]]}


def tasks(database, sandbox, name, ids, **more):
    """Tasks in development, CI green."""
    seed(database, *[{"id": id, "stage": "development", "repo": f"acme/{name}", **more} for id in ids])
    sandbox.world(repository(name, ids))


def passes_until(service, look, most):
    """At most so many passes of the timer that began by now end before look() is true."""
    before = set(reports(service))

    def over():
        done = len(set(reports(service)) - before)  # read first: what look() sees, these passes had the time to do
        if look():
            return True
        assert done < most, f"not within {most} passes"
        return False
    eventually(over, "the heal", PASSES_DEADLINE_S)


# ---- one repository ----


OLD = range(1, 41)


@pytest.mark.parametrize("path", ["", "/commits"], ids=["all of it", "statuses"])
def test_a_repository_that_hangs_delays_no_other(database, sandbox, make_service, path):
    """It has forty old tasks. By the timer, at once and after many passes in which it was asked in vain."""
    service = first_pass(make_service(ORCH_UPSTREAM_TIMEOUT_S="1").start())
    tasks(database, sandbox, "hung", OLD, age=90000)
    tasks(database, sandbox, "app", range(101, 105))
    sandbox.fault(f"/gitea/*/acme/hung{path}*", "hang")
    assert service.put(interval_s=1).status == 200
    for first in (101, 201, 301):
        passes_until(service, lambda: all(stages(database)[id] == "review" for id in range(first, first + 4)), 2 if first == 101 else 3)
        ended = len(reports(service)) + 3
        eventually(lambda: len(reports(service)) >= ended, "more passes", PASSES_DEADLINE_S)
        tasks(database, sandbox, f"more{first}", range(first + 100, first + 104))
    assert {stages(database)[id] for id in OLD} == {"development"}
    assert service.put(interval_s=86400).status == 200
    sandbox.heal()
    service.run()
    eventually(lambda: {stages(database)[id] for id in OLD} == {"review"}, "the heal of what had hung")


def test_who_waits_for_an_answer_is_not_kept_by_a_repository_that_hangs(database, sandbox, make_service):
    """While a pass has calls of it under way, and more of them than there are slots."""
    service = first_pass(make_service(ORCH_UPSTREAM_TIMEOUT_S="300").start())
    tasks(database, sandbox, "hung", OLD, age=90000)
    tasks(database, sandbox, "app", [101])
    sha = sandbox.api("repos/acme/app/branches/b101")["commit"]["id"]
    sandbox.fault("/gitea/*/acme/hung/commits/*", "hang")
    run = service.begin()
    eventually(lambda: sandbox.asked("GET /gitea/*/acme/hung/commits/*") >= 4, "calls that hang")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        vain = pool.submit(service.call, "GET", "/reconcile/tasks/1", timeout=400)
        answer = service.call("GET", f"/reconcile/resolve?repo=acme/app&sha={sha}")
        assert (answer.status, answer.json()["task_id"]) == (200, 101)
        assert explain(service, 101)["gate"]["verdict"] == "green"
        assert service.call("GET", f"/reconcile/runs/{run}").json()["state"] == "running"
        assert not vain.done()
        sandbox.heal()
        assert vain.result().status == 200
    assert outcomes(service.report(run))[101] == "advanced"


def test_a_pass_does_not_ask_a_repository_that_hangs_about_every_task(database, sandbox, make_service):
    """Forty time-outs, however many go side by side, are too long for one pass of the timer."""
    service = first_pass(make_service(ORCH_UPSTREAM_TIMEOUT_S="1").start())
    tasks(database, sandbox, "hung", OLD, age=90000)
    tasks(database, sandbox, "app", [101])
    sandbox.fault("/gitea/*/acme/hung*", "hang")
    assert service.put(interval_s=1).status == 200
    eventually(lambda: len(reports(service)) >= 2, "a pass")
    asked = sandbox.asked("GET /gitea/*/acme/hung*")
    assert asked <= 16 * len(reports(service))  # except by the first pass, which met none of it; and one more may be under way
    first = service.report(reports(service)[1])
    assert first["gate"]["unknown"] == 40 and first["gate"]["advanced"] == 1
    assert all(len(item["reason"]) > 10 for item in first["items"])


# ---- a host that is down ----


NAMES = ("r1", "r2", "r3", "r4", "r5", "r6")


def asked_of(sandbox):
    """The repositories that were asked about since the counters were zeroed."""
    calls = sandbox.control("GET", "requests?limit=1000&like=GET%20/gitea/*")["requests"]
    return [re.search(r"/repos/acme/(r\d)", call["path"])[1] for call in calls]


@pytest.mark.parametrize("kind,more", [("hang", {}), ("status", {"status": 500})], ids=["hang", "500"])
def test_a_gitea_that_is_down_costs_four_calls_a_pass_and_is_healed_from_in_one(database, sandbox, make_service, kind, more):
    service = first_pass(make_service(ORCH_UPSTREAM_TIMEOUT_S="1").start())
    ids = {name: (2 * at + 1, 2 * at + 2) for at, name in enumerate(NAMES)}
    for name in NAMES:
        tasks(database, sandbox, name, ids[name])
    sandbox.fault("/gitea", kind, **more)
    assert set(outcomes(service.run()).values()) == {"unknown"}
    assert service.status()["upstreams"]["gitea"]["ok"] is False
    for _ in range(2):
        sandbox.control("DELETE", "requests")
        report = service.run()
        assert set(outcomes(report).values()) == {"unknown"} and len(report["items"]) == 12
        asked = asked_of(sandbox)
        assert 1 <= len(asked) <= 4 and len(set(asked)) == len(asked), asked
    sandbox.heal()
    assert set(outcomes(service.run()).values()) == {"advanced"}
    assert set(stages(database).values()) == {"review"} and service.status()["upstreams"]["gitea"] == {"ok": True}
