"""Running a plan against a live database.

The rooms, each above those before it: `session` (connections, locks, what must hold while a run works), `throttle`, `copy`, `verify`,
`replay` (both directions), `run` (the engine, and the handle of a run that has copied everything), `switch` (cut over, roll back,
contract), `observe` (how a run stands), and `follow`.
"""
