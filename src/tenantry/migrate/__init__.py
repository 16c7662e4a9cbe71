"""Running a plan against a live database.

The rooms, each above the previous ones: `session` (connections, locks, guards of a run), `throttle`, `copy`, `verify`,
`replay` (both directions), `run` (the engine, and the handle of a run that has copied everything), `switch` (cut over, roll back,
contract), `observe` (the status of a run), and `follow`.
"""
