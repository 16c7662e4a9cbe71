"""The survey: what a database without a manifest holds, found from its catalog and from samples of its rows."""

from tenantry.survey.discover import survey
from tenantry.survey.model import Candidate, FoundReference, Place, Survey, SurveyedTable

__all__ = ["Candidate", "FoundReference", "Place", "Survey", "SurveyedTable", "survey"]
