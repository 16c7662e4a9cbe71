"""Reports: the same data as terminal output, JSON and one self-contained HTML file."""

from tenantry.report.collect import Duration, build_report, recorded_durations

__all__ = ["Duration", "build_report", "recorded_durations"]
