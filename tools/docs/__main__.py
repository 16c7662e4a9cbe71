"""`python -m tools.docs`: write every generated page of docs/ again, and say which changed."""

from __future__ import annotations

import sys

from tools.docs import ROOT, attacks, checks, clinic_pages, command_line, errors, findings, steps, transforms

REFERENCE = ROOT / "docs" / "reference"


def main() -> None:
    made = {
        REFERENCE / "attacks.md": attacks.page(),
        REFERENCE / "checks.md": checks.page(),
        REFERENCE / "cli.md": command_line.page(),
        REFERENCE / "errors.md": errors.page(),
        REFERENCE / "findings.md": findings.page(),
        REFERENCE / "steps.md": steps.page(),
        REFERENCE / "transforms.md": transforms.page((REFERENCE / "transforms.md").read_text(encoding="utf-8")),
        **{ROOT / clinic_pages.FOLDER / name: text for name, text in clinic_pages.from_embedded_server().items()},
    }
    for path, text in made.items():
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}{' (changed)' if changed else ''}\n")


if __name__ == "__main__":
    main()
