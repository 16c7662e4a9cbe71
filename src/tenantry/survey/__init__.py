"""The survey: what a database without a manifest holds, found from its catalog and from samples of its rows."""

from tenantry.survey.discover import survey
from tenantry.survey.model import Candidate, Place, Reference, Survey, SurveyedTable

__all__ = ["Candidate", "Place", "Reference", "Survey", "SurveyedTable", "survey"]
