"""Looking inside a trained network: both loops on one sample, and the report of a whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerloop.lazy import lazily

if TYPE_CHECKING:
    from layerloop.inspection.intervals import Figure as Figure
    from layerloop.inspection.reports import Report as Report
    from layerloop.inspection.reports import report as report
    from layerloop.inspection.steps import Loops as Loops
    from layerloop.inspection.steps import Step as Step
    from layerloop.inspection.subject import Subject as Subject
    from layerloop.inspection.subject import kind_of as kind_of
    from layerloop.inspection.subject import loss_of as loss_of
    from layerloop.inspection.subject import subject_of as subject_of
    from layerloop.inspection.trace import Differences as Differences
    from layerloop.inspection.trace import Trace as Trace

# The file in which each public name lives.
_HOME = {
    "Figure": "intervals",
    **dict.fromkeys(("Report", "report"), "reports"),
    **dict.fromkeys(("Loops", "Step"), "steps"),
    **dict.fromkeys(("Subject", "kind_of", "loss_of", "subject_of"), "subject"),
    **dict.fromkeys(("Differences", "Trace"), "trace"),
}

__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return list(_HOME)


__all__ = [*_HOME]
