"""The throw-away process that looks at the classes of a lab file, and writes down what they are."""

from __future__ import annotations

import json
import os
import pickle
import sys
from dataclasses import asdict, astuple, replace
from typing import Any

from agentlab.agent.agent import Agent
from agentlab.errors import AgentLabError, DriverError
from agentlab.lab.facts import Facts, Job, class_facts, look, one_line
from agentlab.lab.stand_ins import actions_in_rules, missing_names, used_names
from agentlab.runtime.link import ChildLink
from agentlab.yamlfile.problems import ProblemsError


def main(payload: bytes, link: ChildLink) -> None:
    """Look at classes and write down what they are: the child's main function."""
    jobs: dict[str, Job]
    jobs, directory, report = pickle.loads(payload)  # noqa: S301 - from our own parent
    link.ready()
    sys.path.insert(0, directory)
    base = frozenset({*vars(Agent()), *dir(Agent)})
    out = os.open(report, os.O_WRONLY | os.O_APPEND)
    for key, (target, spec) in jobs.items():
        os.write(out, _line({"begun": key}))
        facts = look(target, directory, base) if spec is None else _look_at_driver(target, spec, directory, base)
        os.write(out, _line({"begun": key, "facts": asdict(facts)}))
    os._exit(0)  # whatever threads and handlers the modules have left


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, default=str).encode() + b"\n"


def _look_at_driver(target: str, spec: dict[str, Any], directory: str, base: frozenset[str]) -> Facts:
    """Tell what a class is as the driver of an instrument. Nothing is built, and no device is spoken to."""
    from agentlab.instruments.drivers.loading import load_class  # labs without instruments need not wait for it

    try:
        cls = load_class(target)
    except DriverError as error:
        if "pip install" in str(error):  # which library is missing says more than where it was wanted
            return Facts(problem=str(error), says_all=True)
        facts = look(target, directory, base)
        return facts if facts.problem else Facts(problem=str(error), says_all=True)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - it is told by the look that follows
        return look(target, directory, base)
    try:
        return _driver_facts(class_facts(cls, base), cls, spec)
    except Exception as error:  # noqa: BLE001 - a metaclass or descriptor of the user's
        return Facts(problem=f"cannot be looked at: {one_line(error)}")


def _driver_facts(facts: Facts, cls: type, spec: dict[str, Any]) -> Facts:
    from agentlab.instruments.drivers.loading import load_driver
    from agentlab.instruments.model.spec import InstrumentSpec
    from agentlab.instruments.scpi.driver import ScpiDriver

    try:
        driver = load_driver(InstrumentSpec.from_dict(spec))
        table = driver.table()
    except AgentLabError as error:
        cause = error.__cause__
        placed = [astuple(one) for one in cause.problems if one.line] if isinstance(cause, ProblemsError) else []
        return replace(facts, driver_problem=str(error), table_problems=tuple(placed))
    found, whole = table.to_dict(), table.kind == "scpi"  # others may get more when they are built
    parameters = {one["name"]: one for one in found["parameters"]}
    actions = tuple(one["name"] for one in found["actions"])
    timeouts = {one.name: one.timeout for one in table.actions.values() if one.timeout is not None}
    tellable = table.kind in ("any", "scpi")  # how others come to their parameters is not in the class's code

    def missing(names: list[str]) -> tuple[str, ...]:
        return tuple(missing_names(cls, names, {*parameters, *actions}, whole=whole)) if tellable else ()

    return replace(
        facts,
        parameters=parameters,
        actions=actions,
        timeouts=timeouts,
        whole=whole,
        missing=missing(used_names(spec)),
        missing_in_rules=missing(actions_in_rules(spec)),
        address_problem=driver.address_problem() if isinstance(driver, ScpiDriver) else "",
    )
