"""Rounds that carry changed rows over: from source to target, and back."""
