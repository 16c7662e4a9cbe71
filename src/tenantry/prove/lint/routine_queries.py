"""Reads the queries of a function's body: which values their conditions tie to each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tenantry.prove.lint.parse_tree import bare_node, name_of, text_of
from tenantry.prove.lint.routine_reading import CALLER, Json
from tenantry.prove.lint.routine_ties import QueryRow, RoutineTies

_ID_TYPES = frozenset({"uuid", "int4", "int8", "_uuid", "_int4", "_int8"})


_SECRET = re.compile(r"token|code|secret|hash|key$|slug|nonce", re.IGNORECASE)


_EQUAL = frozenset({"=", "@>", "<@", "&&"})


_SIGNED_IN = frozenset({"anon", "authenticated"})


Scopes = list[dict[str, QueryRow]]


Link = tuple[set[str], set[str]]


# -- PL/pgSQL ------------------------------------------------------------------------------------------------------


class QueryReader(RoutineTies):
    """Reads the queries of one body."""

    def statement(self, node: Json, scopes: Scopes) -> list[set[str]]:
        """Read a statement, and return the sources of each column that it returns."""
        for kind, value in node.items():
            if kind == "SelectStmt":
                return self._select(value, scopes)
            if kind in ("UpdateStmt", "DeleteStmt", "InsertStmt", "MergeStmt"):
                return self._write(kind, value, scopes)
            if kind == "ReturnStmt":
                return [self._nodes(value["returnval"], scopes)]
        return []

    def _with(self, value: Json, scopes: Scopes) -> Scopes:
        inner = [*scopes, {}]
        for each in value.get("withClause", {}).get("ctes", ()):
            table = each["CommonTableExpr"]
            named = [each["String"]["sval"] for each in table.get("aliascolnames", ())]
            row = self._derived(self.statement(table["ctequery"], inner), named or self._named(table["ctequery"]))
            inner[-1][f"with {table['ctename']}"] = row
        return inner

    def _named(self, node: Json) -> list[str]:
        """Return the names of a query's columns; `*` stands for all columns of its tables."""
        select = node.get("SelectStmt", {})
        while "larg" in select:
            select = select["larg"]
        found: list[str] = []
        for each in select.get("targetList", ()):
            value = each["ResTarget"].get("val", {})
            fields = value.get("ColumnRef", {}).get("fields", ())
            if "name" in each["ResTarget"]:
                found.append(each["ResTarget"]["name"])
            elif fields and "String" in fields[-1]:
                found.append(fields[-1]["String"]["sval"])
            elif fields:
                for item in select.get("fromClause", ()):
                    table = item.get("RangeVar", {})
                    relation = self.known.relation(table.get("schemaname"), table.get("relname", ""))
                    found += self.known.columns.get(relation or 0, {})
        return found

    def _derived(self, values: Sequence[set[str]], names: Sequence[str] = ()) -> QueryRow:
        row = QueryRow(f"r:{len(self.rows)}", None, dict.fromkeys(names, (0, "")))
        self.rows.append(row)
        self.tie({row.node, *(node for nodes in values for node in nodes if node != CALLER)})
        if any(nodes == {CALLER} for nodes in values):
            self.tie({row.node, CALLER})
        return row

    def _select(self, value: Json, scopes: Scopes) -> list[set[str]]:
        if "larg" in value:
            left = self._select(value["larg"], scopes)
            right = self._select(value["rarg"], scopes)
            return [a | b for a, b in zip(left, right, strict=False)]
        inner = self._with(value, scopes)
        self._from(value.get("fromClause", ()), inner)
        self.ties(value.get("whereClause"), inner)
        self.ties(value.get("havingClause"), inner)
        found = [self._nodes(each["ResTarget"]["val"], inner) for each in value.get("targetList", ())]
        for row in value.get("valuesLists", ()):
            found = [self._nodes(each, inner) for each in row["List"]["items"]]
        return found

    def _from(self, items: Sequence[Json], scopes: Scopes) -> None:
        for item in items:
            for kind, value in item.items():
                if kind == "RangeVar":
                    self._range(value, scopes)
                elif kind == "JoinExpr":
                    self._from([value["larg"], value["rarg"]], scopes)
                    self.ties(value.get("quals"), scopes)
                    for name in value.get("usingClause", ()):
                        rows = [row for row in scopes[-1].values() if name["String"]["sval"] in row.columns]
                        self.tie({row.node for row in rows})
                elif kind == "RangeSubselect":
                    named = [each["String"]["sval"] for each in value.get("alias", {}).get("colnames", ())]
                    row = self._derived(
                        self.statement(value["subquery"], scopes), named or self._named(value["subquery"])
                    )
                    scopes[-1][value.get("alias", {}).get("aliasname", row.node)] = row
                elif kind == "RangeFunction":
                    named = [each["String"]["sval"] for each in value.get("alias", {}).get("colnames", ())]
                    row = self._derived([self._nodes(value["functions"], scopes)], named)
                    if CALLER in self._nodes(value["functions"], scopes):
                        self.tie({row.node, CALLER})
                    scopes[-1][value.get("alias", {}).get("aliasname", row.node)] = row

    def _range(self, value: Json, scopes: Scopes) -> QueryRow:
        name = value["relname"]
        alias = value.get("alias", {}).get("aliasname", name)
        if "schemaname" not in value:
            for scope in reversed(scopes):
                if f"with {name}" in scope:
                    scopes[-1][alias] = scope[f"with {name}"]
                    return scopes[-1][alias]
        relation = self.known.relation(value.get("schemaname"), name)
        row = QueryRow(f"r:{len(self.rows)}", relation, self.known.columns.get(relation or 0, {}))
        self.rows.append(row)
        scopes[-1][alias] = row
        return row

    def _write(self, kind: str, value: Json, scopes: Scopes) -> list[set[str]]:
        inner = self._with(value, scopes)
        row = self._range(value["relation"], inner)
        row.written = True
        self._from([*value.get("fromClause", ()), *value.get("usingClause", ())], inner)
        if "sourceRelation" in value:
            self._from([value["sourceRelation"]], inner)
        for condition in ("whereClause", "joinCondition"):
            self.ties(value.get(condition), inner)
        if kind == "InsertStmt" and "selectStmt" in value:
            names = [each["ResTarget"]["name"] for each in value.get("cols", ())] or list(row.columns)
            for name, nodes in zip(names, self.statement(value["selectStmt"], inner), strict=False):
                self._written(row, name, nodes)
        for each in value.get("targetList", ()) if kind == "UpdateStmt" else ():
            self._written(row, each["ResTarget"]["name"], self._nodes(each["ResTarget"]["val"], inner))
        returned = value.get("returningList") or value.get("returningClause", {}).get("exprs", ())
        return [self._nodes(each["ResTarget"]["val"], inner) for each in returned]

    def _written(self, row: QueryRow, name: str, nodes: set[str]) -> None:
        if row.relation is not None and name in row.columns:
            self.picked.append((frozenset(nodes), row.relation, row.columns[name][0], True))

    # -- conditions ----------------------------------------------------------------------------------------------------

    def ties(self, node: Any, scopes: Scopes, *, loosely: bool = False) -> None:
        """Tie the values that a condition compares. Loosely: also comparisons that refuse, as in IF … <> … THEN RAISE."""
        for nodes in self._links(node, scopes, loosely=loosely):
            self.tie(nodes)

    def _links(self, node: Any, scopes: Scopes, *, loosely: bool) -> list[set[str]]:
        if isinstance(node, list):
            return [link for each in node for link in self._links(each, scopes, loosely=loosely)]
        if not isinstance(node, dict):
            return []
        found: list[set[str]] = []
        for kind, value in node.items():
            if kind == "BoolExpr":
                found += self._boolean(value, scopes, loosely=loosely)
            elif kind == "A_Expr":
                found += self._comparison(value, scopes, loosely=loosely)
            elif kind == "SubLink":
                found += self._sub_select(value, scopes)
            elif kind == "FuncCall":
                found += self._call(value, scopes)
            elif kind == "ColumnRef":
                self._looked_at(value, scopes, loose=True)
            elif kind in ("NullTest", "BooleanTest"):
                self._null_test(value, scopes)
                found += self._links(value, scopes, loosely=loosely)
            elif isinstance(value, (dict, list)):
                found += self._links(value, scopes, loosely=loosely)
        return found

    def _boolean(self, value: Json, scopes: Scopes, *, loosely: bool) -> list[set[str]]:
        parts = [self._links(each, scopes, loosely=loosely) for each in value["args"]]
        if value["boolop"] == "OR_EXPR" and not loosely:
            # A tie on only one side leaves the other side open.
            tied = [any(CALLER in {*link, *(self.top(each) for each in link)} for link in part) for part in parts]
            kept = parts if all(tied) else [[link - {CALLER} for link in part] for part in parts if not any(tied)]
            return [link for part in kept for link in part]
        if value["boolop"] == "NOT_EXPR" and not loosely:
            return []
        return [link for part in parts for link in part]

    def _comparison(self, value: Json, scopes: Scopes, *, loosely: bool) -> list[set[str]]:
        name = value["name"][-1]["String"]["sval"]
        left, right = value.get("lexpr"), value.get("rexpr")
        equal = name in _EQUAL and value["kind"] in ("AEXPR_OP", "AEXPR_OP_ANY", "AEXPR_IN", "AEXPR_NOT_DISTINCT")
        refuses = loosely and (name == "<>" or value["kind"] in ("AEXPR_DISTINCT", "AEXPR_OP_ALL"))
        mine, other = self._nodes(left, scopes), self._nodes(right, scopes)
        self._gate(mine, other, left, right)
        secret = False
        for side, against in ((left, other), (right, mine)):
            secret |= self._pick(side, against, scopes)
        nested = self._nested(left, scopes) + self._nested(right, scopes)
        if (equal or refuses) and mine and other and not secret:
            return [*nested, mine | other]
        return nested

    def _nested(self, node: Any, scopes: Scopes) -> list[set[str]]:
        """Return the ties of calls within a value, e.g. coalesce(is_member(x), false)."""
        return self._links(node, scopes, loosely=False) if isinstance(node, dict) and "FuncCall" in node else []

    def _pick(self, side: Any, against: set[str], scopes: Scopes) -> bool:
        """Record a column that is compared with variables. Return whether its value acts as a secret that only its recipient knows."""
        place = self._place(side, scopes)
        if place is None:
            return False
        row, name = place
        number, kind = row.columns[name]
        (row.asked if against else row.loose).add(number)
        row.asked.add(number)
        if row.relation is None or not against - {CALLER, row.node}:
            return False
        if kind in _ID_TYPES and not _SECRET.search(name):
            self.picked.append((frozenset(against - {CALLER}), row.relation, number, False))
            return False
        # A token, or a search text: a caller who passes it does not choose the owner of the row.
        return any(node.startswith(("v:", "$")) for node in against)

    def _gate(self, mine: set[str], other: set[str], left: Any, right: Any) -> None:
        """auth.role() = 'service_role', auth.jwt() ->> 'role' = 'admin': these are gates for callers outside all tenants."""
        for nodes, against, constant in ((mine, other, right), (other, mine, left)):
            text = text_of(constant)
            if nodes == {CALLER} and not against and text is not None and text not in _SIGNED_IN:
                self.open = True

    def _sub_select(self, value: Json, scopes: Scopes) -> list[set[str]]:
        found = self.statement(value["subselect"], scopes)
        if value["subLinkType"] == "ANY_SUBLINK" and "testexpr" in value:
            tested = value["testexpr"]
            items = tested["RowExpr"]["args"] if "RowExpr" in tested else [tested]
            for each, nodes in zip(items, found, strict=False):
                self._pick(each, nodes, scopes)
            return [self._nodes(each, scopes) | nodes for each, nodes in zip(items, found, strict=False)]
        return []

    def _call(self, value: Json, scopes: Scopes) -> list[set[str]]:
        name = name_of(value["funcname"])
        arguments = [self._nodes(each, scopes) for each in value.get("args", ())]
        found = self._links(value.get("args", []), scopes, loosely=False)
        self._sets(name, value)
        if not arguments and self.known.gate(name):
            self.open = True
        nodes = {node for each in arguments for node in each}
        if self.known.caller(name) or CALLER in nodes:
            return [*found, nodes | {CALLER}] if nodes else found
        return found

    def _sets(self, name: tuple[str, ...], value: Json) -> None:
        arguments = value.get("args", ())
        if name[-1] != "set_config" or len(arguments) < 2:
            return
        setting = text_of(arguments[0])
        if "A_Const" not in bare_node(arguments[1]):
            self.settings.add(setting.lower() if setting is not None else "*")

    def _null_test(self, value: Json, scopes: Scopes) -> None:
        place = self._place(value.get("arg"), scopes)
        if place is not None:
            place[0].asked.add(place[0].columns[place[1]][0])

    def _looked_at(self, value: Json, scopes: Scopes, *, loose: bool) -> None:
        place = self._place({"ColumnRef": value}, scopes)
        if place is not None:
            number = place[0].columns[place[1]][0]
            place[0].asked.add(number)
            if loose:
                place[0].loose.add(number)

    # -- values --------------------------------------------------------------------------------------------------------

    def _nodes(self, node: Any, scopes: Scopes) -> set[str]:
        """Return the sources of a value: rows, variables, the caller."""
        if isinstance(node, list):
            return {found for each in node for found in self._nodes(each, scopes)}
        if not isinstance(node, dict):
            return set()
        found: set[str] = set()
        for kind, value in node.items():
            if kind == "ColumnRef":
                found |= self._reference(value, scopes)
            elif kind == "ParamRef":
                found.add(self.argument(f"${value['number']}") if self._numbered(value) else f"${value.get('number')}")
            elif kind == "SubLink":
                self.ties({"SubLink": value}, scopes)
                if value["subLinkType"] in ("EXPR_SUBLINK", "ARRAY_SUBLINK"):
                    found |= {each for nodes in self.statement(value["subselect"], scopes) for each in nodes}
            elif kind == "FuncCall":
                self._sets(name_of(value["funcname"]), value)
                found |= self._nodes(value.get("args", []), scopes)
                found |= {CALLER} if self.known.caller(name_of(value["funcname"])) else set()
            elif kind == "CaseWhen":
                # CASE WHEN is_member(org) THEN …
                self.ties(value["expr"], scopes, loosely=True)
                found |= self._nodes(value["result"], scopes)
            elif kind == "CoalesceExpr":
                # coalesce(argument, auth.uid()) is the caller's choice.
                inside = self._nodes(value["args"], scopes)
                found |= inside - {CALLER} if any(each.startswith(("v:", "$")) for each in inside) else inside
            elif isinstance(value, (dict, list)):
                found |= self._nodes(value, scopes)
        return found

    def _numbered(self, value: Json) -> bool:
        number = int(value.get("number", 0))
        return 0 < number <= len(self.body.arguments)

    def _reference(self, value: Json, scopes: Scopes) -> set[str]:
        place = self._place({"ColumnRef": value}, scopes)
        if place is not None:
            return {place[0].node}
        parts = [each["String"]["sval"].lower() for each in value["fields"] if "String" in each]
        if not parts:
            return {row.node for row in (scopes[-1].values() if scopes else ())}
        for scope in reversed(scopes):
            if parts[0] in scope:
                return {scope[parts[0]].node}
        if parts[0] in self.variables:
            return {f"v:{parts[0]}"}
        if len(parts) > 1 and parts[0] == self.body.name.lower():
            return {f"v:{parts[1]}"}
        return set()

    def _place(self, node: Any, scopes: Scopes) -> tuple[QueryRow, str] | None:
        """Return the row and the column of a reference; None for variables and anything but a plain column."""
        bare = bare_node(node) if isinstance(node, dict) else {}
        if "ColumnRef" not in bare:
            return None
        parts = [each["String"]["sval"] for each in bare["ColumnRef"]["fields"] if "String" in each]
        if not parts or len(parts) != len(bare["ColumnRef"]["fields"]):
            return None
        for scope in reversed(scopes):
            for alias, row in scope.items():
                if parts[-1] in row.columns and (len(parts) == 1 or parts[-2] == alias):
                    return row, parts[-1]
        return None
