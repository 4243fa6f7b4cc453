"""Which branch and task a commit belongs to: every rule on either database, and every way not to know."""
import concurrent.futures
import contextlib
import json
import re
import resource
import socket
import subprocess
import sys

import pytest

from conftest import ROOT, eventually, seed

README = (ROOT / "README.md").read_text(encoding="utf-8")


def sha(n):
    return f"{n:040x}"


MAIN, NOWHERE = sha(0xa), sha(0xffff)


def world(sandbox, *branches, pulls=(), **more):
    """acme/app with main and branches (name, sha), and a fork of it."""
    sandbox.world({"full_name": "fork/app", "branches": [{"name": "theirs", "sha": sha(5)}]}, {"full_name": "acme/app", "branches": [{"name": "main", "sha": MAIN}, *[
        {"name": name, "sha": head} for name, head in branches]], "pulls": list(pulls), **more})


def pull(number, head, head_sha, **more):
    return {"number": number, "base": "main", "head": head, "head_sha": head_sha, **more}


def ask(service, commit, repo="acme/app", status=200):
    answer = service.call("GET", f"/reconcile/resolve?repo={repo}&sha={commit}")
    assert answer.status == status, (answer.status, answer.body)
    assert (status == 503) == ("retry-after" in answer.headers)
    return answer.json()


def task_of(id, stage, branch=None):
    return {"task_id": id, "work_item_id": f"ORCH-{id}", "stage": stage, "branch": branch or f"b{id}"}


def found(commit, method, task):
    return {"repo": "acme/app", "sha": commit, "method": method, **task}


def no_task(branch):
    return {"task_id": None, "work_item_id": None, "stage": None, "branch": branch}


# ---- the rules ----


def test_the_branch_of_a_task_whose_head_it_is(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "review", "branch": "feature/ORCH-2 a/b"},
         {"id": 3, "stage": "done"}, {"id": 4, "stage": "development", "repo": "acme/other"})
    world(sandbox, ("b1", sha(1)), ("feature/ORCH-2 a/b", sha(0xabc)), ("b3", sha(0xabc)), pulls=[pull(1, "b1", sha(0xabc))])
    expected = found(sha(0xabc), "branch_head", task_of(2, "review", "feature/ORCH-2 a/b"))
    assert ask(service, sha(0xabc)) == expected
    assert ask(service, sha(0xabc).upper()) == expected
    assert ask(service, sha(1)) == found(sha(1), "branch_head", task_of(1, "development"))


def test_many_tasks_are_looked_at_together(database, sandbox, service):
    seed(database, *[{"id": id, "stage": "review"} for id in range(1, 61)])
    world(sandbox, *[(f"b{id}", sha(id)) for id in range(1, 61)])
    assert ask(service, sha(60)) == found(sha(60), "branch_head", task_of(60, "review"))
    assert sandbox.asked("GET /gitea/*/branches/*") == 0 and 1 <= sandbox.asked("GET /gitea/*/branches[?]*") <= 3


def test_an_open_pull_request_whose_head_it_is(database, sandbox, service):
    seed(database, {"id": 1, "stage": "review"}, {"id": 2, "stage": "development"})
    world(sandbox, ("b2", sha(2)), ("hotfix", sha(7)), ("left", sha(8)), ("right", sha(8)), pulls=[
        pull(1, "b1", sha(0x11), head_deleted=True), pull(2, "hotfix", sha(7)), pull(3, "b2", sha(9), state="closed"),
        pull(4, "theirs", sha(5), head_repo="fork/app"), pull(5, "left", sha(8)), pull(6, "right", sha(8))])
    assert ask(service, sha(0x11)) == found(sha(0x11), "pull_request", task_of(1, "review"))  # its branch was deleted
    assert ask(service, sha(7)) == found(sha(7), "pull_request", no_task("hotfix"))
    assert "#4" in ask(service, sha(5), status=404)["detail"]  # a fork's: not the sole task's
    ambiguous = ask(service, sha(8), status=409)
    assert sorted(ambiguous["candidates"], key=str) == sorted([no_task("left"), no_task("right")], key=str)


def test_a_pull_request_is_known_where_no_task_is(database, sandbox, service):
    world(sandbox, ("hotfix", sha(7)), pulls=[pull(2, "hotfix", sha(7))])
    assert ask(service, sha(7)) == found(sha(7), "pull_request", no_task("hotfix"))
    ask(service, sha(8), status=404)


def test_the_only_task_that_waits_for_ci(database, sandbox, service):
    seed(database, {"id": 1, "stage": "review"}, {"id": 2, "stage": "testing"}, {"id": 3, "stage": "done"}, {"id": 4, "stage": "analysis"},
         {"id": 5, "stage": "development", "branch": None})
    world(sandbox, ("b1", sha(1)), ("b2", sha(2)))
    assert ask(service, NOWHERE) == found(NOWHERE, "sole_task", task_of(2, "testing"))


def test_the_head_of_the_base_or_default_branch_is_nobodys(database, sandbox, make_service):
    projects = [{"repo": "acme/app", "base_branch": "release/1"}]
    service = make_service(ORCH_PROJECTS_JSON=json.dumps(projects)).start()
    eventually(lambda: service.status()["last_run_ts"])
    seed(database, {"id": 1, "stage": "development"})
    world(sandbox, ("b1", sha(1)), ("release/1", sha(2)), ("trunk", sha(3)), default_branch="trunk")
    assert "release/1" in ask(service, sha(2), status=404)["detail"]
    assert "trunk" in ask(service, sha(3), status=404)["detail"]
    assert ask(service, MAIN) == found(MAIN, "sole_task", task_of(1, "development"))  # main is a branch like any other here


def test_more_than_one_is_never_guessed_about(database, sandbox, service):
    seed(database, {"id": 1, "stage": "review"}, {"id": 2, "stage": "testing"}, {"id": 3, "stage": "development"})
    world(sandbox, ("b1", sha(1)), ("b2", sha(1)), ("b3", sha(3)))
    heads = ask(service, sha(1), status=409)
    assert sorted(heads["candidates"], key=lambda task: task["task_id"]) == [task_of(1, "review"), task_of(2, "testing")]
    waiting = ask(service, NOWHERE, status=409)
    assert sorted(waiting["candidates"], key=lambda task: task["task_id"]) == [task_of(2, "testing"), task_of(3, "development")]
    assert "2 tasks" in waiting["detail"]


def test_a_repository_is_one_however_it_is_spelled(database, sandbox, service):
    seed(database, {"id": 1, "stage": "testing"}, {"id": 2, "stage": "testing", "repo": "Acme/App"})
    world(sandbox, ("b1", sha(1)), ("b2", sha(2)))
    assert ask(service, sha(2)) == found(sha(2), "branch_head", task_of(2, "testing"))
    assert ask(service, sha(1), repo="ACME/APP") == {**found(sha(1), "branch_head", task_of(1, "testing")), "repo": "ACME/APP"}
    assert "2 tasks" in ask(service, NOWHERE, status=409)["detail"]


def test_a_renamed_repository_is_found_by_both_names(database, sandbox, make_service):
    service = make_service(ORCH_PROJECTS_JSON=json.dumps([{"repo": "acme/app", "base_branch": "release/1"}])).start()
    eventually(lambda: service.status()["last_run_ts"])
    seed(database, {"id": 1, "stage": "testing"}, {"id": 2, "stage": "review", "repo": "acme/other"})
    world(sandbox, ("b1", sha(1)), ("release/1", sha(7)))
    sandbox.change(do="rename", to="Acme/Store")
    for name in "acme/store", "acme/app":  # stored under the old one
        assert ask(service, sha(1), repo=name) == {**found(sha(1), "branch_head", task_of(1, "testing")), "repo": name}
        assert ask(service, NOWHERE, repo=name)["method"] == "sole_task"
        assert ask(service, NOWHERE, repo=name)["task_id"] == 1  # from what is kept
        assert "release/1" in ask(service, sha(7), repo=name, status=404)["detail"]
    seed(database, {"id": 3, "stage": "testing", "repo": "acme/store"})
    for name in "acme/store", "acme/app":
        assert "2 tasks" in ask(service, sha(0xffee), repo=name, status=409)["detail"]


def test_a_repository_that_fails_does_not_keep_another_from_being_answered_about(database, sandbox, service):
    seed(database, {"id": 1, "stage": "testing"}, {"id": 2, "stage": "testing", "repo": "acme/other"})
    world(sandbox, ("b1", sha(1)))
    sandbox.fault(path="/gitea/api/v1/repos/acme/other", kind="status", status=500)
    assert ask(service, NOWHERE) == found(NOWHERE, "sole_task", task_of(1, "testing"))


def test_what_belongs_to_nobody_is_said(database, sandbox, service):
    world(sandbox)
    ask(service, NOWHERE, status=404)
    seed(database, {"id": 1, "stage": "review"}, {"id": 2, "stage": "done"}, {"id": 3, "stage": "development", "repo": "acme/other"})
    assert "waits for CI" in ask(service, sha(0xfffe), status=404)["detail"]


@pytest.mark.parametrize("version", ["1.22", "1.24", "1.27"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_every_gitea_is_understood(database, sandbox, service, version):
    sandbox.control("POST", "gitea", {"version": version})
    seed(database, {"id": 1, "stage": "development", "branch": "a/b"})
    world(sandbox, ("a/b", sha(1)), ("hotfix", sha(7)), pulls=[pull(n, f"x{n}", sha(n + 100)) for n in range(1, 60)] + [
        pull(60, "hotfix", sha(7)), pull(61, "topic", sha(6), agit=True)])
    assert ask(service, sha(1))["method"] == "branch_head"
    assert ask(service, sha(7))["branch"] == "hotfix"
    ask(service, sha(6), status=404)
    ask(service, MAIN, status=404)
    assert ask(service, NOWHERE)["method"] == "sole_task"


BAD = [("", "repo sha"), ("repo=acme/app", "sha"), (f"sha={MAIN}", "repo"), (f"repo=acme&sha={MAIN}", "repo"), (f"repo=&sha={MAIN}", "repo"),
       (f"repo=acme/app/x&sha={MAIN}", "repo"), (f"repo=acme/..&sha={MAIN}", "repo"), (f"repo=acme/a%20b&sha={MAIN}", "repo"),
       (f"repo=acme/a%2Fb&sha={MAIN}", "repo"), (f"repo={'a' * 101}/app&sha={MAIN}", "repo"), ("repo=acme/app&sha=", "sha"),
       (f"repo=acme/app&sha={MAIN[1:]}", "sha"), (f"repo=acme/app&sha={MAIN}0", "sha"), (f"repo=acme/app&sha={MAIN[1:]}g", "sha"),
       (f"repo=acme/app&sha={MAIN[:39]}%0A", "sha"), ("repo=acme/app&sha=main", "sha"), ("repo=no&sha=no", "repo sha")]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_question_that_makes_no_sense_names_what_is_wrong(database, sandbox, service):
    for query, fields in BAD:
        answer = service.call("GET", f"/reconcile/resolve?{query}")
        assert answer.status == 400, query
        assert [error["field"] for error in answer.json()["errors"]] == fields.split(), query
    assert sandbox.asked() == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_sha_256_is_one_too(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"})
    world(sandbox, ("b1", sha(1)))
    assert ask(service, "f" * 64)["method"] == "sole_task"


# ---- when Gitea does not answer ----

DOWN = [("status", {"status": 500}), ("status", {"status": 401}), ("status", {"status": 403}), ("garbage", {}), ("close", {}), ("cut", {"bytes": 1}),
        ("status", {"status": 429, "retry_after": 60}), ("hang", {})]


@pytest.mark.parametrize("kind,more", DOWN, ids=[kind + str(more.get("status", "")) for kind, more in DOWN])
def test_without_gitea_only_the_database_settles_it(database, sandbox, make_service, kind, more):
    service = make_service(ORCH_UPSTREAM_TIMEOUT_S="1").start()
    eventually(lambda: service.status()["last_run_ts"])
    seed(database, {"id": 1, "stage": "review", "repo": "acme/busy"}, {"id": 2, "stage": "done"})
    world(sandbox)
    sandbox.fault("/gitea", kind, **more)
    detail = ask(service, NOWHERE, status=404)["detail"]
    assert "no unfinished task" in detail and "Gitea" in detail
    assert "Gitea" in ask(service, NOWHERE, repo="acme/busy", status=503)["detail"]
    sandbox.heal()
    sandbox.world({"full_name": "acme/busy", "branches": [{"name": "b1", "sha": NOWHERE}]})
    assert eventually(lambda: service.call("GET", f"/reconcile/resolve?repo=acme/busy&sha={NOWHERE}").status == 200)


@pytest.mark.parametrize("path", ["/gitea/*/branches/b1", "/gitea/*/pulls*", "/gitea/*/branches/main", "/gitea/api/v1/repos/acme/ap[p]"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_a_rule_cannot_know_is_no_fallback(database, sandbox, service, path):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "review"})
    world(sandbox, ("b1", sha(1)), ("b2", sha(2)))
    sandbox.fault(path, "status", status=500, body="")
    ask(service, NOWHERE, status=503)
    assert ask(service, sha(2))["task_id"] == 2  # a head that was read is no guess
    sandbox.heal()
    assert ask(service, NOWHERE)["method"] == "sole_task"  # what failed is not kept


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_repository_that_is_hidden_is_not_taken_for_empty(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"})
    world(sandbox, ("b1", sha(1)), hidden=True)
    assert "may not see" in ask(service, NOWHERE, status=503)["detail"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_gitea_at_all_is_said(database, sandbox, make_service):
    service = make_service(ORCH_GITEA_URL="").start()
    eventually(lambda: service.status()["last_run_ts"])
    seed(database, {"id": 1, "stage": "development"})
    assert "ORCH_GITEA_URL" in ask(service, NOWHERE, status=503)["detail"]
    ask(service, NOWHERE, repo="acme/none", status=404)


def test_a_gitea_that_hangs_delays_no_one_else(database, sandbox, make_service):
    service = make_service(ORCH_UPSTREAM_TIMEOUT_S="60").start()
    eventually(lambda: service.status()["last_run_ts"])
    service.become_ready()
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "analysis"})
    world(sandbox, ("b1", sha(1)))
    sandbox.fault("/gitea", "hang")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(service.call, "GET", f"/reconcile/resolve?repo=acme/app&sha={sha(1 + n // 4)}") for n in range(8)]
        sandbox.hanging(1)
        for path in ("/reconcile/status", "/reconcile/tasks", "/reconcile/tasks/2", "/reconcile/history", "/reconcile/config", "/healthz", "/readyz"):
            assert service.call("GET", path).status == 200, path
        assert not any(future.done() for future in waiting)
        sandbox.heal()
        assert [future.result().status for future in waiting] == [200] * 8


def test_who_waits_is_told_when_the_service_stops(database, sandbox, make_service):
    service = make_service(ORCH_UPSTREAM_TIMEOUT_S="60").start()
    eventually(lambda: service.status()["last_run_ts"])
    seed(database, {"id": 1, "stage": "development"})
    world(sandbox, ("b1", sha(1)))
    sandbox.fault("/gitea", "hang")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(service.call, "GET", path) for path in (f"/reconcile/resolve?repo=acme/app&sha={MAIN}", "/reconcile/tasks/1")]
        sandbox.hanging(2)
        assert service.end() == 0
        for answer in (future.result() for future in waiting):
            assert (answer.status, answer.json()["detail"]) == (503, "the service is stopping")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_database_that_is_gone_is_an_error_of_its_own(database, sandbox, service):
    service.expected_errors = ["the database cannot be asked"]
    world(sandbox)
    database.path.rename(database.path.with_suffix(".away"))
    assert "database" in ask(service, NOWHERE, status=503)["detail"]


# ---- what is kept ----


def test_answers_are_kept_and_tasks_are_not(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"})
    world(sandbox, ("b1", sha(1)), ("b2", sha(1)))
    assert ask(service, sha(1)) == found(sha(1), "branch_head", task_of(1, "development"))
    asked = sandbox.asked()
    database.script("UPDATE tasks SET stage = 'testing' WHERE id = 1")
    assert ask(service, sha(1)) == found(sha(1), "branch_head", task_of(1, "testing"))
    assert sandbox.asked() == asked
    seed(database, {"id": 2, "stage": "review"})  # of whose branch nothing is known yet
    ask(service, sha(1), status=409)
    assert sandbox.asked() > asked
    database.script("UPDATE tasks SET stage = 'done' WHERE id = 1")
    assert ask(service, sha(1)) == found(sha(1), "branch_head", task_of(2, "review"))


def test_a_push_is_seen_at_once(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    world(sandbox, ("b1", sha(1)), ("b2", sha(2)))
    ask(service, sha(1))
    sandbox.change(do="push", branch="b1", sha=sha(3))
    assert ask(service, sha(3)) == found(sha(3), "branch_head", task_of(1, "development"))


@contextlib.contextmanager
def sockets(address, n):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    host, port = address.rsplit(":", 1)
    them = [socket.create_connection((host, int(port)), timeout=60) for _ in range(n)]
    try:
        yield them
    finally:
        for one in them:
            one.close()


def test_a_thousand_equal_questions_are_one(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "review"})
    world(sandbox, ("b1", sha(1)), ("b2", sha(2)))
    sandbox.fault("/gitea/*/branches/b1", "hang")
    request = f"GET /reconcile/resolve?repo=acme/app&sha={sha(1)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with sockets(service.address, 1000) as them:
        for one in them:
            one.sendall(request.encode())
        sandbox.hanging(1)
        assert service.call("GET", "/reconcile/status").status == 200  # however many wait
        sandbox.heal()
        for one in them:
            answer = b"".join(iter(lambda: one.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200 ") and b'"task_id":1' in answer, answer
    assert sandbox.asked("GET /gitea/*/branches/b1") == 1 and sandbox.asked("GET /gitea/*") == 2


# ---- what README shows to CI handlers ----


def test_the_python_of_readme_tells_whose_a_commit_is(database, sandbox, service):
    script = next(text for text in re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S) if "/reconcile/resolve" in text)
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "development"})
    world(sandbox, ("b1", sha(1)), ("b2", sha(2)))
    for commit, expected in ((sha(1), 1), (NOWHERE, None), (MAIN, None)):
        printed = subprocess.run([sys.executable, "-c", script + f"\ntask = task_of('acme/app', '{commit}', 'http://{service.address}')\n"
                               "print(task and task['task_id'])"], capture_output=True, text=True, timeout=60, check=True)
        assert printed.stdout.strip() == str(expected)
    sandbox.fault("/gitea", "status", status=500)
    printed = subprocess.run([sys.executable, "-c", script + f"\ntask_of('acme/app', '{sha(9)}', 'http://{service.address}')"],
                          capture_output=True, text=True, timeout=60)
    assert printed.returncode == 1 and "503" in printed.stderr  # to be asked again, not to be dropped
