"""The command `verify`: whether the outputs of a run are still what it wrote."""

import json as json_format
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from typing import Annotated, Any

from cyclopts import Parameter

from anabranch.command.runs import FLOWS, Json, Run
from anabranch.command.stdout import readers_may_leave
from anabranch.command.workloads import WORKLOADS, load
from anabranch.core.errors import UsageError
from anabranch.core.parts import NOTHING, Report, Written
from anabranch.core.verifying import Finding, sample, verify_file
from anabranch.core.words import many
from anabranch.run import runs
from anabranch.run.server import ensure_server, prefect_environment

DIFFER = ("changed", "missing")
WHOLE = "100%"

Share = Annotated[str, Parameter(name="--sample", help="Share of the outputs, such as 10%; of a run always the same.")]


def verify(run: Run, /, *, share: Share = WHOLE, json: Json = False) -> int:
    """Read the outputs of a run again, and compare them with the sizes and checksums in its report.

    Exit 0: all are as the run left them, 1: some are changed or missing. Of objects the destination is asked for size
    and tag; of a table the import's record and the number of rows are looked at, since rows may change rightly.
    """
    part = _part(share)
    url = ensure_server()
    found = runs.one(url, FLOWS, run)
    report = _report(url, found)
    chosen = sample(report.written, part, found["id"])
    os.environ.update(prefect_environment(url))  # before anything imports Prefect, for credentials in its blocks
    findings = list(_findings(report, chosen, found["parameters"]))
    _print(found, report, findings, json=json)
    return 1 if any(one.state in DIFFER for one in findings) else 0


def _part(share: str) -> Fraction:
    fits = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", share)
    part = Fraction(fits[1]) / 100 if fits else Fraction(0)
    if not 0 < part <= 1:
        reason = f"{share!r} is not a share of the outputs"
        raise UsageError("bad-option", reason, "Write it as 10%, and no more than 100%.", "--sample")
    return part


def _report(url: str, found: Mapping[str, Any]) -> Report:
    report = runs.report_of(url, found["id"])
    state = found["state"] or {}
    if report is None and state.get("name") == "Completed" and (state.get("message") or "").startswith(NOTHING):
        return Report(flow="")  # as of a schedule that found nothing new
    if report is None or (report.outputs and not report.written):
        why = "has published no report" if report is None else "kept no checksums: it is of an older version"
        raise UsageError("nothing-recorded", f"the run {found['name']} {why}", "Run the same command again.")
    return report


def _findings(report: Report, chosen: Sequence[Written], parameters: Mapping[str, Any]) -> Iterator[Finding]:
    yield from (verify_file(one) for one in chosen if one.kind == "file")
    if others := [one for one in chosen if one.kind != "file"]:
        [workload] = [one for one in WORKLOADS if one.name == report.flow]
        yield from load(workload.verify)(others, parameters)


def _print(found: Mapping[str, Any], report: Report, findings: Sequence[Finding], *, json: bool) -> None:
    states = Counter(one.state for one in findings)
    with readers_may_leave():
        if json:
            counts = {"outputs": len(report.written), "looked_at": len(findings), "states": states}
            rows = [asdict(one) for one in findings]
            print(json_format.dumps({"run": found["id"], "flow": report.flow, **counts, "findings": rows}, indent=2))
            return
        for one in findings:
            if one.state != "as_recorded":
                print(f"{one.state.replace('_', ' ')}: {one.output}{f': {one.reason}' if one.reason else ''}")
        for reason in dict.fromkeys(one.reason for one in findings if one.state == "as_recorded" and one.reason):
            print(f"note: {reason}")
        looked = f"{len(findings):,} of {many(len(report.written), 'output')} looked at"
        print(f"{found['name']}: {looked}; {states['as_recorded']:,} as recorded")
