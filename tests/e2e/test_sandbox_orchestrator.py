"""The sandbox's orchestrator is a careful receiver: it takes nothing that is not signed, and moves only what an event is about."""
import hashlib
import hmac
import json

import pytest

from conftest import call, reconciled, seed, stages

SECRET = "s3cret"
SHA = "ab" * 20


@pytest.fixture
def box(sandbox, database):
    assert reconciled("migrate", environment={"ORCH_DATABASE_URL": database.url}).returncode == 0
    seed(database, {"id": 1, "stage": "development"}, {"id": 2, "stage": "analysis"}, {"id": 3, "stage": "development"})
    sandbox.world({"full_name": "acme/app", "branches": [{"name": "main"}, {"name": "b1", "sha": SHA}, {"name": "b2", "sha": "cd" * 20}]})
    sandbox.control("POST", "orchestrator", {"database": database.url, "gitea_secret": SECRET, "plane_secret": SECRET, "token": "t"})
    return sandbox


def status_of(sha=SHA, state="success"):
    return {"sha": sha, "state": state, "repository": {"full_name": "acme/app"}}


def post(box, path, body, signature=None, event="status", **headers):
    text = json.dumps(body)
    if signature is None:
        signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Gitea-Event": event, "X-Gitea-Signature": signature, "X-Plane-Signature": signature,
               **headers}
    return call(box.address, "POST", "/orchestrator/" + path, text, headers).status


def received(box):
    return box.control("GET", "orchestrator")["received"]


def test_a_signed_status_moves_the_task_whose_branch_has_that_head(box, database):
    assert post(box, "webhook/gitea", status_of("00" * 20)) == 200 and stages(database)[1] == "development"
    assert post(box, "webhook/gitea", status_of(state="failure")) == 200 and stages(database)[1] == "development"
    assert post(box, "webhook/gitea", status_of()) == 200
    assert stages(database) == {1: "review", 2: "analysis", 3: "development"}
    assert database.query("SELECT task_id, agent, status FROM jobs") == [(1, "reviewer", "queued")]
    assert post(box, "webhook/gitea", status_of()) == 200  # it does not wait for CI any more
    assert [got["moved"] for got in received(box)] == [False, False, True, False]


@pytest.mark.parametrize("signature", ["", "0" * 64, hmac.new(SECRET.encode(), b"{}", hashlib.sha256).hexdigest()])
@pytest.mark.parametrize("path", ["webhook/gitea", "webhook/plane"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_not_signed_moves_nothing(box, database, path, signature):
    assert post(box, path, status_of(), signature) == 401
    assert stages(database)[1] == "development" and [got["verified"] for got in received(box)] == [False]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_advance_needs_the_token_and_the_stage(box, database):
    advance = {"task_id": 3, "from_stage": "development", "to_stage": "review"}
    assert post(box, "reconcile/advance", advance) == 401
    assert post(box, "reconcile/advance", {**advance, "from_stage": "testing"}, Authorization="Bearer t") == 200
    assert stages(database)[3] == "development"
    assert post(box, "reconcile/advance", advance, Authorization="Bearer t") == 200
    assert stages(database)[3] == "review"
    assert post(box, "nowhere", {}) == 404


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_it_may_be_told_to_move_nothing_or_later(box, database):
    box.control("POST", "orchestrator", {"moves": False})
    assert post(box, "webhook/gitea", status_of()) == 200 and stages(database)[1] == "development"
    assert box.control("GET", "orchestrator")["later"] == 1
    box.control("POST", "orchestrator/move")
    assert stages(database)[1] == "review"
    box.control("DELETE", "orchestrator")
    assert received(box) == []
