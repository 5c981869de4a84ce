"""One suite of cases on every kind of driver, over real sockets where the device has one."""

from __future__ import annotations

from contextlib import contextmanager, suppress

import pytest

from agentlab import AgentLabError, run_nameserver
from tests.instruments.conformance import CASES, Bed
from tests.instruments.live import end
from tests.instruments.rigs import IN_PROCESS, RIGS, Rig

BY_NAME = {rig.name: rig for rig in RIGS}


@contextmanager
def running(rig, agent, ns):
    """Give a running instrument of a rig, with its device."""
    with rig.device() as where:
        proxy = rig.start(where, agent, ns.addr(), safe={rig.writes: 0.0})
        try:
            bed = Bed(rig, where, agent, proxy, ns.addr())
            assert bed.online(10.0), proxy.status()
            yield bed
        finally:
            end(proxy)


def fit(bed):
    """Tell whether a case has left the instrument as it must: the next one may have it."""
    with suppress(AgentLabError):
        status = bed.proxy.timeout(2).status()
        return status["state"] == "online" and not status["queue"] and not bed.proxy.lock_info()["owner"]
    return False


@pytest.fixture(scope="module")
def ns():
    server = run_nameserver()
    yield server
    with suppress(AgentLabError):
        server.shutdown(4.0)
    server.release()


def pytest_generate_tests(metafunc):
    """Each class runs the cases that its rig can do."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", [name for name in CASES if name not in metafunc.cls.rig.cannot])


@pytest.fixture(scope="class")
def standing(request, ns):
    """The instrument that all cases of a class share."""
    with running(request.cls.rig, request.cls.rig.name, ns) as bed:
        yield bed


@pytest.fixture
def bed(standing, ns):
    """The shared instrument; one for this test alone after a case that left the shared one in disorder."""
    if fit(standing):
        yield standing
        return
    with running(standing.rig, f"another-{standing.rig.name}", ns) as fresh:
        yield fresh


class Conformance:
    """All cases, on the rig of a class below."""

    rig: Rig

    def test_case(self, bed, case):
        CASES[case](bed)


class TestScpi(Conformance):
    rig = BY_NAME["scpi"]


class TestSimulatedSupply(Conformance):
    rig = BY_NAME["supply"]


class TestPyvisaResource(Conformance):
    rig = BY_NAME["resource"]


class TestAnyClass(Conformance):
    rig = BY_NAME["plain"]


class TestPyMeasure(Conformance):
    rig = BY_NAME["pymeasure"]


class TestQCoDeS(Conformance):
    rig = BY_NAME["qcodes"]


class TestOphydAsync(Conformance):
    rig = BY_NAME["ophyd"]


class TestPyvisaSim(Conformance):
    rig = BY_NAME["simfile"]


class TestGepace(Conformance):
    rig = BY_NAME["pace"]


class TestCryocon(Conformance):
    rig = BY_NAME["cryocon"]


class TestLewis(Conformance):
    rig = BY_NAME["linkam"]


def test_every_rig_runs_every_case_but_those_it_physically_cannot():
    assert {one.rig.name for one in Conformance.__subclasses__()} == set(BY_NAME)
    assert len(CASES) >= 12
    impossible = {(rig.name, case): why for rig in RIGS for case, why in rig.cannot.items()}
    assert impossible == {
        ("ophyd", "cable"): IN_PROCESS,
        ("ophyd", "timeout"): "a soft signal always answers",
        ("simfile", "cable"): IN_PROCESS,
        ("supply", "timeout"): "the simulated supply answers whatever it is asked",
    }
    assert {case for _, case in impossible} <= CASES.keys()
