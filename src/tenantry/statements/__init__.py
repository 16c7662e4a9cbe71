"""SQL of what a run makes beside the application: capture and fences, keys while a run works, copies and merges.

Pure. Plans hold these statements, and a run needs some of them by themselves.
"""
