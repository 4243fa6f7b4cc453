"""Healthy neighbours beside every kind of failure at every kind of call. By default each call meets each failure once; MATRIX=full is the
full product with trigger, database and mode. Each cell has a service, a sandbox and a database of its own, and many run side by side."""
import concurrent.futures
import itertools
import os

import pytest

import failure_matrix
from failure_matrix import CALLS, DATABASES, FAILURES, MODES, TRIGGERS

SIDE_BY_SIDE = 4 * (os.cpu_count() or 1)


def name_of(cell):
    return "-".join(cell).replace(" ", "_")


@pytest.fixture(scope="module")
def results(request, server, tmp_path_factory):
    """What becomes of every cell that was asked for; all begin with the first."""
    folder, databases = tmp_path_factory.mktemp("matrix"), failure_matrix.Databases(server)
    wanted = [item.callspec.params["cell"] for item in request.session.items if getattr(item, "callspec", None) and "cell" in item.callspec.params]
    pool = concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE)
    yield {cell: pool.submit(failure_matrix.run, cell, databases, folder / name_of(cell)) for cell in wanted}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("cell", failure_matrix.cells(), ids=name_of)
def test_neighbours_are_healed_beside_what_fails(cell, results):
    results[cell].result()


def test_the_sample_is_pairwise():
    """Each failure, and each call as far as the mode lets it, meets every combination of trigger, database and mode."""
    sample = failure_matrix.sample()
    assert {(cell.call, cell.failure) for cell in sample} == set(itertools.product(CALLS, FAILURES)) and len(sample) == 96
    rest = set(itertools.product(TRIGGERS, DATABASES, MODES))
    for failure in FAILURES:
        assert {cell[2:] for cell in sample if cell.failure == failure} == rest
    for call in CALLS:
        modes = failure_matrix.modes_of(call)
        assert {cell[2:] for cell in sample if cell.call == call} == {one for one in rest if one[2] in modes}
    assert set(sample) <= set(failure_matrix.full_product())
