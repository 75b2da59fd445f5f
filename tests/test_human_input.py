"""An agent asks a person: what a form may be, what an answer must have, and how the feature goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.errors import FeatureStateConflict, InvalidArgument
from peewee_conv.feature_transfer import import_features
from peewee_conv.services.features import Features

FORM = [
    {"id": "port", "label": "Port", "type": "text"},
    {"id": "tls", "label": "TLS?", "type": "boolean"},
    {"id": "region", "label": "Region", "type": "select", "options": ["eu", "us"], "required": False},
]


@pytest.fixture
def queue(project: Project) -> Features:
    project.features.create("Serve")
    project.features.claim(1)
    return project.features


def test_a_question_stops_the_work_until_it_is_answered(queue: Features) -> None:
    asked = queue.request_human_input(1, "Where?", FORM)

    assert (asked.needs_human_input, asked.in_progress) == (True, False)
    assert asked.human_input_request is not None
    assert asked.human_input_request["prompt"] == "Where?"
    assert [field["required"] for field in asked.human_input_request["fields"]] == [True, True, False]
    assert queue.ready() == []
    assert queue.claim_next() is None


def test_an_answer_is_kept_and_gives_the_feature_back(queue: Features) -> None:
    queue.request_human_input(1, "Where?", FORM)

    found = queue.resolve_human_input(1, {"port": "80", "tls": False})

    assert found.needs_human_input is False
    assert found.human_input_response is not None
    assert found.human_input_response["fields"] == {"port": "80", "tls": False}
    assert found.human_input_response["responded_at"].endswith("Z")
    assert queue.claim(1).already_claimed is False


def test_a_second_question_clears_the_first_answer(queue: Features) -> None:
    queue.request_human_input(1, "Where?", FORM)
    queue.resolve_human_input(1, {"port": "80", "tls": True})
    queue.claim(1)

    assert queue.request_human_input(1, "Again?", FORM).human_input_response is None


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"port": "80"},
        {"port": "", "tls": True},
        {"port": None, "tls": True},
        {"port": "1", "tls": 1, "x": 1},
        [],
        None,
    ],
)
def test_an_answer_that_is_missing_or_unknown_is_refused(queue: Features, answers: Any) -> None:
    queue.request_human_input(1, "Where?", FORM)

    with pytest.raises(InvalidArgument, match="answers"):
        queue.resolve_human_input(1, answers)

    assert queue.get(1).needs_human_input


def test_an_answer_nobody_asked_for_is_refused(queue: Features) -> None:
    with pytest.raises(FeatureStateConflict, match="does not wait for human input"):
        queue.resolve_human_input(1, {})


def test_only_work_in_progress_may_ask(queue: Features) -> None:
    queue.clear_in_progress(1)

    with pytest.raises(FeatureStateConflict, match="it is not in progress"):
        queue.request_human_input(1, "Where?", FORM)


@pytest.mark.parametrize(
    ("prompt", "fields", "argument"),
    [
        ("", FORM, "prompt"),
        (None, FORM, "prompt"),
        ("?", [], "fields"),
        ("?", "port", "fields"),
        ("?", None, "fields"),
        ("?", ["port"], "fields[0]"),
        ("?", [{**FORM[0], "colour": "red"}], "fields[0]"),
        ("?", [{"label": "Port", "type": "text"}], "fields[0].id"),
        ("?", [{"id": " ", "label": "Port", "type": "text"}], "fields[0].id"),
        ("?", [{"id": "a", "type": "text"}], "fields[0].label"),
        ("?", [{"id": "a", "label": "A", "type": "number"}], "fields[0].type"),
        ("?", [{"id": "a", "label": "A", "type": []}], "fields[0].type"),
        ("?", [{"id": "a", "label": "A", "type": "select"}], "fields[0].options"),
        ("?", [{"id": "a", "label": "A", "type": "select", "options": []}], "fields[0].options"),
        ("?", [{**FORM[0], "required": "yes"}], "fields[0].required"),
        ("?", [FORM[0], FORM[0]], "fields"),
        ("?", [{**FORM[0], "placeholder": {1, 2}}], "fields"),
    ],
)
def test_a_form_that_is_not_allowed_is_refused(queue: Features, prompt: Any, fields: Any, argument: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        queue.request_human_input(1, prompt, fields)

    assert caught.value.argument == argument
    assert queue.get(1).in_progress


@pytest.mark.parametrize("fields", [None, "x", [None, {"label": "no id"}, {"id": []}]])
def test_an_imported_question_without_sound_fields_can_be_answered_without_any(project: Project, fields: Any) -> None:
    item = {"needs_human_input": True, "human_input_request": {"prompt": "?", "fields": fields}}
    (project.path / "feature_list.json").parent.mkdir(exist_ok=True)
    (project.path / "feature_list.json").write_text(json.dumps([item]))
    import_features(project)

    assert project.features.resolve_human_input(1, {}).needs_human_input is False
