"""The folder of transforms is their list: each has its file's name, documentation, and a test file in this folder."""

from __future__ import annotations

from pathlib import Path

import tenantry.mapping.transforms
from tenantry.manifest.model import ColumnRule
from tenantry.mapping.id_transform import IdTransform
from tenantry.mapping.transforms import transforms
from tests.unit.mapping.transforms.support import misfit
from tools.docs.transforms import page

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "transforms.md"


def test_each_file_of_the_folder_is_one_transform_of_its_name() -> None:
    (folder,) = (Path(each) for each in tenantry.mapping.transforms.__path__)
    assert {file.stem for file in folder.glob("*.py")} - {"__init__"} == set(transforms())


def test_each_has_a_test_file() -> None:
    assert {file.stem for file in Path(__file__).parent.glob("test_*.py")} == {
        "test_registry",
        *(f"test_{name}" for name in transforms()),
    }


def test_the_page_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "stale: run `make docs`"


def test_each_has_words_and_examples_between_types_that_it_takes() -> None:
    for name, transform in transforms().items():
        assert transform.__doc__ and transform.back, name
        assert transform.examples or isinstance(transform, IdTransform), name
        for examples in transform.examples:
            assert misfit(name, examples.source, examples.target) is None, name
            assert bool(examples.zone) == ("zone" in {option.name for option in transform.options}), name


def test_options_are_keys_of_a_rule() -> None:
    options = {option.name for transform in transforms().values() for option in transform.options}
    assert options <= ColumnRule.model_fields.keys()
