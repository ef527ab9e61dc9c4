"""What an import did, for people: one line of counts, and a table of what they should look at."""

from collections import Counter
from collections.abc import Sequence

import click

from idp.cli import output
from idp.transfer.report import EXAMPLES, Finding, Kind, Report, Weight


def show(report: Report) -> None:
    """Print a report.

    Args:
        report: of an import, finished or interrupted.
    """
    told = "would be created" if report.is_dry_run else "created"
    counts = [
        (f"accounts {told}", report.created),
        ("accounts would be updated" if report.is_dry_run else "accounts updated", report.updated),
        ("accounts there already, left alone", report.unchanged),
        ("accounts left out", report.left_out),
        (f"preauthorizations {told}", report.preauthorizations_created),
        ("preauthorizations there already", report.preauthorizations_unchanged),
    ]
    output.table(("what", "how many"), [(what, f"{count:,}") for what, count in counts if count])
    rows = [
        (kind.weight.value, f"{len(found):,}", kind.code.replace("_", " "), _examples(found))
        for kind, found in report.by_kind()
    ]
    rows += [
        (kind.weight.value, f"{count:,}", kind.code.replace("_", " "), key + _users(report.dropped[kind, key]))
        for (kind, key), count in report.dropped_counts.items()
    ]
    if not rows:
        return
    click.echo()
    output.table(("", "how many", "what", "for example"), rows)
    kinds = [kind for kind, _ in report.by_kind()]
    kinds += [kind for kind in Kind if any(kind is dropped for dropped, _ in report.dropped_counts)]
    click.echo()
    for kind in kinds:
        click.echo(f"{kind.code.replace('_', ' ')}: {kind.meaning}")


def summary(report: Report) -> str:
    """Return how an import ended, as a sentence."""
    if report.is_dry_run:
        return "This was a dry run: nothing was written."
    weights = Counter(kind.weight for kind, _ in report.by_kind())
    if weights[Weight.LEFT_OUT]:
        return "Done, but something was left out: see the report. Mend the file and import it again; it is safe to."
    return "Done: everything is in."


def _examples(found: Sequence[Finding]) -> str:
    shown = []
    for each in found[:EXAMPLES]:
        line = f"line {each.line}" if each.line else ""
        about = "; ".join(filter(None, (each.told, line)))
        shown.append(f"{each.subject} ({about})" if about else each.subject)
    return ", ".join(shown) + (", ..." if len(found) > EXAMPLES else "")


def _users(examples: Sequence[str]) -> str:
    return f" ({', '.join(examples)})" if examples else ""
