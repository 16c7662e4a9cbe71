"""The survey: facts about a database without a manifest, found from its catalog and from samples of its rows."""

from tenantry.survey.discover import survey
from tenantry.survey.model import Candidate, FoundReference, Place, Survey, SurveyedTable

__all__ = ["Candidate", "FoundReference", "Place", "Survey", "SurveyedTable", "survey"]
