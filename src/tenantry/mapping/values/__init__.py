"""Values as SQL: what a type's name says, and expressions that read, change and write values of each kind.

An expression is null where a value is invalid, and never raises; nothing is rounded away. Patterns name ASCII digits and a fixed set
of blanks, since what `\\d` and `\\s` mean depends on the database's locale.
"""
