"""SQL of what a run creates besides the application: capture and fences, keys during a run, copies and merges.

Pure. Plans contain these statements, and a run also executes some of them directly.
"""
