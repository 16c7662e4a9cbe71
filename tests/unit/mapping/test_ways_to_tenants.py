"""What does not fit in what a manifest says of tenants."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.derivation.ids import constant_tenant, derive_id
from tests.unit.manifest.manifest_case import MANIFEST, problems, resolved

ONE = (
    MANIFEST.replace('active = "is_open"', 'constant = { name = "One" }')
    .replace('[tables.orgs]\nfrom = "orgs"', "[tables.orgs]")
    .replace('tenant = ["org_id"]\n', "")
    .replace('tenant = ["author_id -> members", "org_id"]\n', "")
    .replace('ignore = ["migrations"]', 'ignore = ["migrations", "orgs"]')
)


def test_everything_belongs_to_the_stated_tenant(tmp_path: Path) -> None:
    project = resolved(tmp_path, ONE)
    assert project.constant
    assert [mapping.tenant_paths for mapping in project] == [(), (), ()]
    assert project.root_table.name == "orgs"
    derived = constant_tenant(project.manifest)
    assert derived == str(derive_id("app", "orgs", "constant"))
    named = ONE.replace('name = "One"', 'name = "Another name"')
    assert constant_tenant(resolved(tmp_path, named).manifest) == derived
    stated = ONE.replace('name = "One"', 'name = "One", id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"')
    assert constant_tenant(resolved(tmp_path, stated).manifest) == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


VALUES = (
    MANIFEST.replace('active = "is_open"', '[tenant.values]\ncolumn = "name"\nup = "lower(value)"\ndown = "t.name"')
    .replace('[tables.orgs]\nfrom = "orgs"', "[tables.orgs]")
    .replace('tenant = ["org_id"]\n', 'tenant = ["org_id -> orgs"]\n')
    .replace(
        'tenant = ["author_id -> members", "org_id"]\n',
        'tenant = ["author_id -> members"]\nfallback = ["org_id -> orgs"]\n',
    )
    .replace('ignore = ["migrations"]', 'ignore = ["migrations", "orgs"]')
)


def test_a_value_names_a_tenant_and_no_row(tmp_path: Path) -> None:
    project = resolved(tmp_path, VALUES)
    assert (project.constant, project.tenants_made) == (False, True)
    (way,) = project.mapping("members").tenant_paths
    assert (way.columns, way.parent, way.by, way.by_value, project.feeding(way)) == (("org_id",), "orgs", (), True, ())
    assert [each.by_value for each in project.mapping("notes").tenant_paths] == [False, True]
    assert "orgs" not in project.by_target


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ('column = "name"', 'column = "nam"', "tenant.values.column", "orgs has no column 'nam'; did you mean 'name'?"),
        ('column = "name"', 'column = "is_open"', "tenant.values.column", "receives a text, but is boolean"),
        ('"lower(value)"', '"lower(valeu)"', "tenant.values.up", "did you mean 'value'?"),
        ('"lower(value)"', '"(select value)"', "tenant.values.up", "must not read a table"),
        ('down = "t.name"', 'down = "t.nam"', "tenant.values.down", "did you mean 'name'?"),
        ("[tables.orgs]\n", '[tables.orgs]\nfrom = "orgs"\n', "tables.orgs", "take one of the two out"),
        ("[tenant.values]", 'constant = { name = "One" }\n[tenant.values]', "tenant.values", "take one of the two out"),
    ],
)
def test_a_mismatch_with_tenants_from_values_is_reported(
    tmp_path: Path, old: str, new: str, key: str, words: str
) -> None:
    assert VALUES.count(old) == 1
    found = problems(tmp_path, VALUES.replace(old, new))
    assert key in [each.key for each in found], [*map(str, found)]
    assert any(words in each.message for each in found), [*map(str, found)]


def test_a_path_leads_on_from_rows_without_a_tenant(tmp_path: Path) -> None:
    text = MANIFEST.replace('["author_id -> members", "org_id"]', '["author_id -> persons.id <- members.role"]')
    (path,) = resolved(tmp_path, text).mapping("notes").tenant_paths
    first, second = path.hops()
    assert (first.columns, first.parent, first.by, first.torn) == (("author_id",), "persons", ("id",), True)
    assert (second.columns, second.parent, second.by, second.backward) == (("id",), "members", ("role",), True)
    assert set(resolved(tmp_path, text).mapping("notes").parents()) == {"persons", "members"}


def test_ways_back_and_fallbacks_are_references(tmp_path: Path) -> None:
    text = MANIFEST.replace(
        'tenant = ["author_id -> members", "org_id"]', 'tenant = ["author_id <- members.role"]\nfallback = ["org_id"]'
    )
    against, fallback = resolved(tmp_path, text).mapping("notes").tenant_paths
    assert (against.columns, against.parent, against.by) == (("author_id",), "members", ("role",))
    assert (against.backward, against.several, against.fallback) == (True, True, False)
    assert (fallback.parent, fallback.backward, fallback.fallback) == ("orgs", False, True)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("author_id <- members", '"column <- target table.source column"'),
        ("author_id <- members.role <- notes.id", '"column <- target table.source column"'),
        ("author_id -> persons.", '"column -> target table.source column"'),
        ("author_id -> persons", 'name their column: \\"author_id -> persons.<source column>\\"'),
        ("author_id -> persons.role", "people.role has no foreign key; say where it leads"),
        ("author_id -> persons.rol <- members.role", "people has no column 'rol'; did you mean 'role'?"),
        ("author_id -> members.org_id", "members leads to a tenant itself; end the path there"),
        ("author_id <- member.role", "has no table 'member'; did you mean 'members'?"),
        ("author_id <- members.rol", "people has no column 'rol'; did you mean 'role'?"),
        ("author_id <- persons.role", "persons has no org_id, so author_id does not lead to a tenant"),
        ("autor_id <- members.role", "notes has no column 'autor_id'; did you mean 'author_id'?"),
    ],
)
def test_what_does_not_fit_a_way_back_is_said(tmp_path: Path, way: str, words: str) -> None:
    found = problems(tmp_path, MANIFEST.replace('tenant = ["author_id -> members", "org_id"]', f'tenant = ["{way}"]'))
    assert any(words.replace('\\"', '"') in each.message for each in found), [*map(str, found)]


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        (
            "constant = {",
            "constant = { nam = 1,",
            "tenant.constant.nam",
            "orgs has no column 'nam'; did you mean 'name'?",
        ),
        ('{ name = "One" }', '{ name = "One", id = "7" }', "tenant.constant", "id: must be a uuid"),
        (
            '{ name = "One" }',
            '{ name = "One", is_open = "perhaps" }',
            "tenant.constant.is_open",
            "does not fit boolean",
        ),
        ('{ name = "One" }', "{}", "tenant.constant", "orgs.name is NOT NULL without a default"),
        ("[tables.orgs]\n", '[tables.orgs]\nfrom = "orgs"\n', "tables.orgs", "take one of the two out"),
        ('from = "notes"\n', 'from = "notes"\ntenant = ["org_id"]\n', "tables.notes.tenant", "take tenant out"),
        ('constant = { name = "One" }\n', "", "tables.orgs", "state the one tenant that everything belongs to"),
    ],
)
def test_a_mismatch_with_a_constant_tenant_is_reported(
    tmp_path: Path, old: str, new: str, key: str, words: str
) -> None:
    assert ONE.count(old) == 1
    found = problems(tmp_path, ONE.replace(old, new))
    assert key in [each.key for each in found], [*map(str, found)]
    assert any(words in each.message for each in found), [*map(str, found)]


def test_the_tenant_above_has_a_reference_and_an_index(tmp_path: Path) -> None:
    text = MANIFEST.replace('active = "is_open"', 'active = "is_open"\nparent = "ABOVE"')
    assert [each.key for each in problems(tmp_path, text.replace("ABOVE", "abov"))] == ["tenant.parent"]
    said = [each.message for each in problems(tmp_path, text.replace("ABOVE", "name"))]
    assert [each.partition(" needs ")[2][:9] for each in said] == ["a foreign", "an index:"], said
