"""The target written for other tools: SQL files, migration folders, models."""
