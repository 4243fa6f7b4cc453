"""The check of the include rules (tests/includes.py), on small trees that break one on purpose."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]

GOOD = {
    "clients/base/err.h": [],
    "clients/http/fetch.h": ["clients/base/err.h"],
    "clients/store/store.h": ["clients/base/err.h"],
    "clients/store/pg/pg.c": ["clients/store/store.h"],
    "clients/telegram.c": ["clients/http/fetch.h"],
    "reconcile/pipeline/pipeline.h": ["clients/base/err.h"],
    "reconcile/settings/policy.h": ["reconcile/pipeline/pipeline.h"],
    "reconcile/heal/transition.h": ["reconcile/settings/policy.h"],
    "reconcile/heal/transition.c": ["reconcile/heal/transition.h"],
    "reconcile/gates/gate.h": [],
    "reconcile/gates/gate.c": ["reconcile/gates/gate.h", "reconcile/heal/transition.h"],
    "reconcile/plane/plane_side.h": [],
    "reconcile/sweep/sweeper.h": ["reconcile/gates/gate.h", "reconcile/plane/plane_side.h"],
    "reconcile/explain/explain.c": ["reconcile/sweep/sweeper.h"],
    "handlers/run.c": ["reconcile/sweep/sweeper.h"],
    "server/main.c": ["reconcile/sweep/sweeper.h"],
    "tests/unit/test_gate.c": ["reconcile/gates/gate.h"],
}


def check(root, *more):
    """What the check finds in the good tree with these includes, (file, target), added."""
    tree = {file: list(targets) for file, targets in GOOD.items()}
    for file, target in more:
        tree.setdefault(file, []).append(target)
    for file, targets in tree.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("#include <stdio.h>\n" + "".join(f'#include "{target}"\n' for target in targets))
    done = subprocess.run(["/usr/bin/python3", ROOT / "tests/includes.py", root], capture_output=True, text=True)
    assert done.stderr == "" and done.returncode == bool(done.stdout)
    return done.stdout.splitlines()


def test_the_good_tree_and_this_one_keep_the_rules(tmp_path):
    assert check(tmp_path) == []
    done = subprocess.run(["/usr/bin/python3", ROOT / "tests/includes.py", ROOT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("file,target", [
    ("reconcile/pipeline/pipeline.h", "reconcile/heal/transition.h"),
    ("reconcile/heal/transition.c", "reconcile/sweep/sweeper.h"),
    ("reconcile/gates/gate.c", "reconcile/plane/plane_side.h"),
    ("clients/telegram.c", "reconcile/settings/policy.h"),
    ("clients/base/err.h", "clients/store/store.h"),
    ("clients/store/store.h", "clients/store/pg/pg.h"),
    ("reconcile/heal/transition.c", "tests/support/scene.h"),
])
def test_an_include_against_an_arrow_is_named(tmp_path, file, target):
    [line] = [line for line in check(tmp_path, (file, target), (target, "clients/base/err.h")) if "circle" not in line]
    assert line.startswith(f"{file} includes {target}: ") and "←" in line


def test_a_folder_without_a_place_is_named(tmp_path):
    [line] = check(tmp_path, ("reconcile/extra/extra.c", "clients/base/err.h"))
    assert line.startswith("reconcile/extra/extra.c: reconcile has no place for extra ")


def test_a_circle_of_files_is_named_from_end_to_end(tmp_path):
    assert check(tmp_path, ("reconcile/gates/gate.h", "reconcile/gates/a.h"), ("reconcile/gates/a.h", "reconcile/gates/b.h"),
                 ("reconcile/gates/b.h", "reconcile/gates/a.h")) == [
        "circle of includes: reconcile/gates/a.h → reconcile/gates/b.h → reconcile/gates/a.h"]


@pytest.mark.parametrize("target", ["policy.h", "../settings/policy.h"])
def test_an_include_by_another_path_is_named(tmp_path, target):
    [line] = check(tmp_path, ("reconcile/heal/transition.c", target))
    assert line == f"reconcile/heal/transition.c includes {target}: not the path of a file from the root"
