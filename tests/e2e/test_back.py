"""The statements of clients/README.md that lead back to the version before."""
import re

from conftest import ROOT, eventually, outcomes, seed
from test_holds import branch

BACK = re.search(r"lead back to 0\.1.*?```sql\n(.*?)```", (ROOT / "clients/README.md").read_text(), re.S).group(1)
OF_0_1 = {"reconcile_settings", "reconcile_ledger", "reconcile_verdicts", "reconcile_replays", "reconcile_outbox", "reconcile_passes",
          "reconcile_leases", "reconcile_schema"}


def test_the_way_back_leaves_the_tables_of_0_1_and_the_way_forth_is_open(database, sandbox, service, make_service):
    seed(database, *[{"id": id, "stage": "development", "age": 7200} for id in (1, 2)])
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1"), branch("b2")]})
    assert service.call("PUT", "/reconcile/holds/task/2", {"reason": "freeze"}).status == 201
    assert outcomes(service.run()) == {1: "advanced", 2: "held"}
    assert service.end() == 0
    database.script(BACK.replace("BEGIN;", "").replace("COMMIT;", ""))
    assert {name for name in database.tables() if name.startswith("reconcile_")} == OF_0_1
    assert database.query("SELECT max(version) FROM reconcile_schema") == [(4,)]
    again = make_service().start()
    eventually(lambda: again.status()["last_run_ts"], "the first pass")
    assert database.query("SELECT max(version) FROM reconcile_schema") == [(5,)]
    assert outcomes(again.run()) in ({2: "advanced"}, {})  # the hold is gone; the first pass may have moved it


def test_a_process_moves_nothing_under_tables_of_a_newer_version(database, sandbox, service):
    seed(database, {"id": 1, "stage": "development", "age": 7200})
    sandbox.world({"full_name": "acme/app", "branches": [branch("b1")]})
    database.script("INSERT INTO reconcile_schema (version) VALUES (6)")
    items = service.run()["items"]
    assert [(item["outcome"], item["reason"]) for item in items] == [("held", "a newer version has migrated")]
    eventually(lambda: service.call("GET", "/readyz").status == 503, "readiness")
    database.script("DELETE FROM reconcile_schema WHERE version = 6")
    assert outcomes(service.run()) == {1: "advanced"}
