"""Generates dashboards and their widgets, with the ids in their JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final, TypeVar

from clinic.migration.legacy.defects import Ledger, planned
from clinic.migration.legacy.ids import Cuids
from clinic.migration.legacy.people import Provider, Standing, User
from clinic.migration.legacy.shape import Row, some_time, text_of
from clinic.migration.legacy.sources import Metric

_Thing = TypeVar("_Thing")

_NAMES: Final = ("Overview", "Production", "Hygiene", "Front desk", "Month end", "Huddle")
_COLOURS: Final = ("#2563eb", "#16a34a", "#dc2626", "#9333ea", "#f59e0b", "#0891b2")


@dataclass(slots=True)
class _Widget:
    id: str
    kind: str
    chart: str | None
    x: int
    y: int
    width: int
    height: int
    metric_id: str | None
    metric_ids: list[str]
    provider_ids: list[str]
    colour: str

    def row(self, dashboard_id: str, created: str) -> Row:
        config = {"metricDefinitionIds": self.metric_ids, "providerIds": self.provider_ids, "color": self.colour}
        return (
            self.id, self.kind, self.chart, self.x, self.y, self.width, self.height, json.dumps(config), dashboard_id,
            self.metric_id, created, created,
        )  # fmt: skip


@dataclass(slots=True)
class _Dashboard:
    id: str
    name: str
    default: bool
    owner: User
    created: datetime
    widgets: list[_Widget] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def row(self) -> Row:
        places = [{"id": w.id, "x": w.x, "y": w.y, "w": w.width, "h": w.height} for w in self.widgets]
        below = max((w.y + w.height for w in self.widgets), default=0)
        places += [{"id": id, "x": 0, "y": below + 3 * row, "w": 4, "h": 3} for row, id in enumerate(self.lost)]
        layout = json.dumps({"version": 1, "widgets": places}) if self.widgets else None
        created = text_of(self.created)
        return self.id, self.name, self.default, layout, self.owner.id, created, created


def board_rows(
    users: list[User], providers: list[Provider], metrics: list[Metric], rng: Random, ledger: Ledger
) -> tuple[list[Row], list[Row]]:
    """Return the rows of dashboards and of widgets.

    Most valid users have one or two dashboards; so do two of three users with an invalid e-mail, and every second duplicate.
    A dashboard has about three widgets; a few have none, and then no layout.
    """
    maker = _Boards(providers, metrics, rng)
    boards: list[_Dashboard] = []
    seen = dict.fromkeys(Standing, 0)
    for user in users:
        turn = seen[user.standing]
        seen[user.standing] += 1
        owns = {
            Standing.GOOD: user.role != "front_desk" or rng.random() < 0.5,
            Standing.DUPLICATE: turn % 2 == 0,
            Standing.INVALID: turn % 3 != 2,
        }[user.standing]
        if owns:
            boards += maker.of_user(user)

    good = []
    for board in boards:
        if board.owner.standing is Standing.INVALID:
            ledger.add("dashboards.of_invalid_user", board.id)
            for widget in board.widgets:
                ledger.add("widgets.of_invalid_user", widget.id)
        else:
            good.append(board)

    with_widgets = [board for board in good if board.widgets]
    for board in _some(with_widgets, planned("dashboards.layout_unknown_widget", len(boards)), rng):
        board.lost.append(maker.lost_id(board.created))
        ledger.add("dashboards.layout_unknown_widget", board.id)

    widgets = [widget for board in good for widget in board.widgets]
    total = sum(len(board.widgets) for board in boards)
    no_metric = planned("widgets.config_unknown_metric", total)
    no_provider = planned("widgets.config_unknown_provider", total)
    chosen = _some(widgets, no_metric + no_provider, rng)
    for widget in chosen[:no_metric]:
        widget.metric_ids.append(maker.lost_id(boards[0].created))
        ledger.add("widgets.config_unknown_metric", widget.id)
    for widget in chosen[no_metric:]:
        widget.provider_ids.append(maker.lost_id(boards[0].created))
        ledger.add("widgets.config_unknown_provider", widget.id)

    return (
        [board.row() for board in boards],
        [widget.row(board.id, text_of(board.created)) for board in boards for widget in board.widgets],
    )


def _some(things: list[_Thing], count: int, rng: Random) -> list[_Thing]:
    return rng.sample(things, min(count, len(things)))


class _Boards:
    def __init__(self, providers: list[Provider], metrics: list[Metric], rng: Random) -> None:
        self._rng, self._cuids = rng, Cuids(rng)
        self._metrics = [metric for metric in metrics if metric.measure.kept != "never"]
        self._providers: dict[str, list[Provider]] = {}
        for provider in providers:
            self._providers.setdefault(provider.clinic.id, []).append(provider)

    def of_user(self, user: User) -> list[_Dashboard]:
        """Return one or two dashboards; the first is the default one, but a duplicate user has no default dashboard."""
        boards = []
        names = self._rng.sample(_NAMES, self._rng.randint(1, 2))
        for place, name in enumerate(names):
            created = some_time(self._rng, user.created, 60)
            default = place == 0 and user.standing is not Standing.DUPLICATE
            board = _Dashboard(self._cuids.at(created), name, default, user, created)
            # The first dashboard of a user with an invalid e-mail is never empty: its widgets must be quarantined with the
            # user.
            least = 2 if user.standing is Standing.INVALID and place == 0 else 0
            count = max(least, self._rng.choice((0, 2, 3, 3, 3, 4, 4, 5)))
            board.widgets = [self._widget(board, number) for number in range(count)]
            boards.append(board)
        return boards

    def lost_id(self, near: datetime) -> str:
        """Return an id that belongs to no row."""
        return self._cuids.at(near + timedelta(hours=2))

    def _widget(self, board: _Dashboard, number: int) -> _Widget:
        rng = self._rng
        kind = rng.choice(("chart", "chart", "counter", "table"))
        chosen = rng.sample(self._metrics, 1 if kind == "counter" else rng.choice((1, 1, 2)))
        own = self._providers[board.owner.clinic.id]
        provider_ids = [provider.id for provider in rng.sample(own, rng.choice((0, 0, 1, 2)))]
        return _Widget(
            id=self._cuids.at(board.created),
            kind=kind,
            chart=rng.choice(("line", "bar", "area", "pie")) if kind == "chart" else None,
            x=number % 3 * 4,
            y=number // 3 * 3,
            width=4,
            height=3,
            # A widget over several metrics names them only in its config.
            metric_id=chosen[0].id if len(chosen) == 1 else None,
            metric_ids=[metric.id for metric in chosen],
            provider_ids=provider_ids,
            colour=rng.choice(_COLOURS),
        )
