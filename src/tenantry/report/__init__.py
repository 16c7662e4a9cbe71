"""Reports: the same data as terminal output, JSON and one self-contained HTML file."""

from tenantry.report.collect import Duration, RunResults, build_report, recorded_durations

__all__ = ["Duration", "RunResults", "build_report", "recorded_durations"]
