"""What a machine that has nothing needs: which programs the listed packages bring, what make prints without them, what fresh-check runs."""
import os
import re
import subprocess
import sys

import pytest

from conftest import ROOT

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/roots")]
import fresh  # noqa: E402
import listed  # noqa: E402

ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}


def row(name, needs="", provides="", essential="no", priority="optional", status="installed", early=""):
    return "\t".join((name, status, essential, priority, provides, early, needs))


def closure(*wanted):
    table = [row("base", essential="yes", early="awk"), row("mawk", provides="awk"), row("apt", priority="important"),
             row("tool", needs="lib (>= 1.2), first | second:any, tool-data (= 1)"), row("lib"), row("first"), row("second"), row("tool-data"),
             row("other", needs="absent | second, mail"), row("exim", provides="mail"), row("postfix", provides="mail, smtp (= 2)"),
             row("posted", needs="postfix, mail"), row("stray"), row("gone", status="config-files")]
    return listed.Packages("\n".join(table)).closure(wanted) - {"base", "apt", "mawk"}


def test_the_smallest_system_is_there_anyway():
    assert closure() == set()


def test_packages_bring_what_they_depend_on_and_nothing_else():
    assert closure("tool") == {"tool", "lib", "first", "tool-data"}


def test_of_several_packages_the_first_that_there_is_or_one_that_is_there_anyway_will_do():
    assert closure("posted") == {"posted", "postfix"}
    assert closure("other") == {"other", "second", "exim", "postfix"}


def test_a_listed_package_that_is_not_installed_is_refused():
    with pytest.raises(SystemExit, match="gone"):
        closure("gone")


def listed_folder(folder, *packages):
    done = subprocess.run([sys.executable, ROOT / "tests/listed.py", folder, *packages], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{folder}\n"
    return folder


def test_the_folder_has_the_programs_of_its_packages_alone(tmp_path):
    bare, more = listed_folder(tmp_path / "bare", "make", "gcc"), listed_folder(tmp_path / "more", "make", "gcc", "man-db")
    there = {path.name for path in bare.iterdir()}
    assert {"sh", "ls", "awk", "make", "gcc", "cc", "ld"} <= there
    assert not there & {"git", "man", "psql", "pkg-config"}
    assert "man" in {path.name for path in more.iterdir()}


def test_a_program_that_is_named_by_its_whole_path_is_found_out():
    done = subprocess.run([sys.executable, ROOT / "tests/listed.py", "--whole-paths", "make"], check=True, capture_output=True, text=True,
                          timeout=60)
    assert "Makefile: /usr/bin/python3\n" in done.stdout and "/bin/sh" not in done.stdout


def make(*arguments, text="", **environment):
    return subprocess.run(["make", *arguments], cwd=ROOT, input=text, env={**ENVIRONMENT, **environment}, capture_output=True, text=True,
                          timeout=60)


def test_make_names_the_set_up_instead_of_the_first_header(tmp_path):
    done = make(f"BUILD={tmp_path / 'build'}", PATH=str(listed_folder(tmp_path / "bare", "make", "gcc")))
    assert done.returncode == 2 and "run `make setup` first" in done.stderr and ".h" not in done.stderr


def test_a_build_takes_all_cores_unless_it_is_told_otherwise():
    text = "include Makefile\nflags more: ; @echo $(MAKEFLAGS)\n"
    cores = len(os.sched_getaffinity(0))
    assert re.search(rf"-j{cores}\b", make("-f", "-", "flags", text=text).stdout)
    assert re.search(r"-j7\b", make("-f", "-", "-j7", "flags", text=text).stdout)
    assert "-j" not in make("-f", "-", "flags", "more", text=text).stdout


def test_fresh_check_runs_what_the_readme_promises():
    assert fresh.readme() == (["bookworm", "trixie"], ["demo", "test"])
