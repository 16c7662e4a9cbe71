"""Rounds that replay changed rows: from source to target, and back."""
