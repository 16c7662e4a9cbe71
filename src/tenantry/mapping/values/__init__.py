"""Values as SQL: properties of a type by its name, and expressions that read, convert and write values of each kind.

An expression is null for an invalid value, and never raises an error; nothing is rounded. Patterns use ASCII digits and a
fixed set of blanks, because the meaning of `\\d` and `\\s` depends on the database's locale.
"""
