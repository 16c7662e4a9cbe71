"""Reports: the same data as terminal output, JSON and one self-contained HTML file."""

from tenantry.report.collect import Duration, build_report

__all__ = ["Duration", "build_report"]
