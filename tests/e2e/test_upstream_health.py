"""One repository that hangs, or a Gitea that is down, beside tasks that could be healed."""
import pytest

from conftest import eventually, outcomes, seed, stages
from test_heal import branch
from test_upstream import first_pass

HUNG = range(1, 41)  # the oldest, and so the first to be asked about
WELL = range(41, 46)


def world(database, sandbox, *wells):
    """40 old tasks of acme/hung, which hangs, and some younger ones of other repositories."""
    seed(database, *[{"id": id, "stage": "review", "repo": "acme/hung", "age": 9000} for id in HUNG],
         *[{"id": id, "stage": "development", "repo": wells[id % len(wells)]} for id in WELL])
    sandbox.world(*[{"full_name": repo, "branches": [branch(f"b{id}", "success") for id in WELL if wells[id % len(wells)] == repo]}
                    for repo in wells])
    sandbox.fault("/gitea/*/acme/hung/*", "hang")


def all_moved(database):
    now = stages(database)
    return all(now[id] == "review" for id in WELL)


def passes(service):
    return len(service.call("GET", "/reconcile/runs?limit=500").json()["items"])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_timer_heals_beside_a_repository_that_hangs(database, sandbox, make_service):
    service = first_pass(make_service(ORCH_RECONCILE_INTERVAL_S="1", ORCH_UPSTREAM_TIMEOUT_S="1").start())
    world(database, sandbox, "acme/a", "acme/b")
    eventually(lambda: all_moved(database), "the heals")
    # Once more, when everything is warm and acme/hung has failed for some passes.
    seen = set()
    eventually(lambda: seen.add(service.status()["last_run_ts"]) or len(seen) >= 4, "some passes")
    asked = sandbox.asked("GET /gitea/*acme/hung/*")
    before = passes(service)
    database.script("UPDATE tasks SET stage = 'development', updated_at = " + database.ago(3600) + " WHERE id > 40; "
                    "DELETE FROM jobs;")
    eventually(lambda: all_moved(database), "the heals")
    assert passes(service) - before <= 3  # one under way, and two
    assert sandbox.asked("GET /gitea/*acme/hung/*") - asked <= 4 * 3
    gitea = service.status()["upstreams"]["gitea"]
    assert gitea["ok"] is True and "error" not in gitea
    failing, = gitea["failing"]
    assert failing["part"] == "acme/hung" and "timed out" in failing["error"] and failing["since"]
    assert gitea["failing_count"] == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_person_is_answered_while_more_repositories_hang_than_there_are_slots(database, sandbox, make_service):
    service = first_pass(make_service(ORCH_RECONCILE_INTERVAL_S="3600").start())
    seed(database, *[{"id": id, "stage": "development", "repo": f"acme/h{id}", "age": 9000} for id in HUNG],
         *[{"id": id, "stage": "development"} for id in WELL])
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in WELL]})
    sandbox.fault("/gitea/*/acme/h*", "hang")
    sha = sandbox.api("repos/acme/app/branches/b41")["commit"]["id"]
    run = service.begin()
    sandbox.hanging(14)
    answer = service.call("GET", f"/reconcile/resolve?repo=acme/app&sha={sha}")
    assert answer.status == 200 and answer.json()["branch"] == "b41"
    assert sandbox.asked("GET /gitea/*/acme/h*") <= 16  # none of them had ended, or another would have begun
    sandbox.heal()
    assert {outcomes(service.report(run))[id] for id in WELL} == {"advanced"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_gitea_that_is_down_is_asked_four_things_in_each_pass_and_then_heals_all(database, sandbox, make_service):
    service = first_pass(make_service(ORCH_RECONCILE_INTERVAL_S="3600").start())
    repos = [f"acme/r{id}" for id in range(1, 11)]
    seed(database, *[{"id": 10 * n + id, "stage": "development", "repo": repo} for n, repo in enumerate(repos) for id in (1, 2, 3)])
    sandbox.world(*[{"full_name": repo, "branches": [branch(f"b{10 * n + id}", "success") for id in (1, 2, 3)]}
                    for n, repo in enumerate(repos)])
    sandbox.fault("/gitea", "status", status=500, body="")
    assert set(outcomes(service.run()).values()) == {"unknown"}
    assert service.status()["upstreams"]["gitea"]["ok"] is False
    for _ in range(3):
        before = sandbox.asked("GET /gitea/*")
        report = service.run()
        assert set(outcomes(report).values()) == {"unknown"}
        assert sandbox.asked("GET /gitea/*") - before == 4
    assert "not asked: the host is down (answered 500" in report["items"][-1]["reason"]
    sandbox.heal()
    assert set(outcomes(service.run()).values()) == {"advanced"}
    assert service.status()["upstreams"]["gitea"] == {"ok": True}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_few_objects_that_always_fail_leave_their_repository_to_others(database, sandbox, make_service):
    service = first_pass(make_service(ORCH_RECONCILE_INTERVAL_S="1").start())
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "success") for id in range(1, 16)]})
    for id in range(1, 13):
        sha = sandbox.api(f"repos/acme/app/branches/b{id}")["commit"]["id"]
        sandbox.fault(f"/gitea/*/commits/{sha}/*", "status", status=500, body="")
    seed(database, *[{"id": id, "stage": "development", "age": 9000 if id <= 12 else 3600} for id in range(1, 16)])
    eventually(lambda: all(stages(database)[id] == "review" for id in (13, 14, 15)), "the heals")
    assert all(stages(database)[id] == "development" for id in range(1, 13))
    sandbox.heal()
    eventually(lambda: set(stages(database).values()) == {"review"}, "the heals", deadline_s=120)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_gitea_that_fails_and_returns_is_two_lines_and_then_all_is_quiet(database, sandbox, make_service):
    service = first_pass(make_service(ORCH_RECONCILE_INTERVAL_S="1").start())
    sandbox.world({"full_name": "acme/app", "branches": [branch(f"b{id}", "failure") for id in range(1, 32)]})
    sandbox.fault("/gitea", "status", status=502, body="")
    seed(database, *[{"id": id, "stage": "development"} for id in range(1, 32)])
    warning, = service.logged("an upstream fails")
    assert "level=warn" in warning and "upstream=gitea tasks=31 " in warning and "502" in warning
    seen = set()
    eventually(lambda: seen.add(service.status()["last_run_ts"]) or len(seen) >= 3, "some passes")
    sandbox.heal()
    assert "level=info" in service.logged("an upstream answers again")[0]
    eventually(lambda: seen.add(service.status()["last_run_ts"]) or len(seen) >= 6, "some more passes")
    lines = service.log.read_text().splitlines()
    about = [line for line in lines if "upstream" in line or "level=warn" in line or "level=error" in line]
    assert len(about) == 2, about
