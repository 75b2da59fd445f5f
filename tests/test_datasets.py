"""Datasets: addresses, names, limits, states."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from account_tools import START, Clock, sign_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peewee_conv import Project
from peewee_conv.errors import (
    AlreadyExists,
    ConversationNotFound,
    DatasetNotFound,
    InvalidArgument,
    LimitReached,
    PeeweeConvError,
)
from peewee_conv.services.datasets import check_url

URL = "https://example.com/data/{}.parquet"


@pytest.fixture
def talk(project: Project) -> str:
    return project.conversations.create().id


def add(project: Project, talk: str, *numbers: int) -> list[str]:
    return [project.datasets.add(talk, URL.format(number)).id for number in numbers]


def names(project: Project, talk: str) -> list[str]:
    return [dataset.name for dataset in project.datasets.list(talk)]


# --- adding -------------------------------------------------------------------------------------------------------


def test_added_dataset_is_loading(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    talk = project.conversations.create()

    added = project.datasets.add(talk.id, URL.format(1), id="d-1")

    assert added.to_dict() == {
        "id": "d-1",
        "conversation_id": talk.id,
        "url": URL.format(1),
        "name": "table1",
        "row_count": 0,
        "column_count": 0,
        "schema": [],
        "status": "loading",
        "error_message": None,
        "created_at": added.to_dict()["created_at"],
        "loaded_at": None,
    }
    assert added.created_at == START
    assert project.datasets.get("d-1") == added


@pytest.mark.parametrize(
    "url", ["http://a", "https://example.com/x?y=%20#z", "https://user:word@10.0.0.1:8080/ü", "http://[::1]/x"]
)
def test_address_is_kept_as_it_is(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        b"https://example.com",
        "",
        "example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "HTTPS://example.com",
        "Http://example.com",
        "https://",
        "https:///path",
        "https://?query",
        "https://#fragment",
        "https://example.com/a b",
        " https://example.com",
        "https://example.com\n",
        "https://example.com/\0",
        "https://example.com/\x1b[31m",
        "https://example.com/\ud800",
        "https://example.com/\u202egnp.exe",
        "https://example.com/" + "x" * 8192,
    ],
    ids=ascii,
)
def test_address_that_is_not_allowed_is_refused(project: Project, talk: str, url: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        project.datasets.add(talk, url)

    assert caught.value.argument == "url"
    assert project.datasets.list(talk) == []


@given(st.text(max_size=60))
def test_address_is_refused_by_our_own_error_or_has_no_space(text: str) -> None:
    try:
        url = check_url(f"https://{text}")
    except InvalidArgument:
        return
    assert url.split() == [url]


def test_address_is_taken_once_in_a_conversation(project: Project, talk: str) -> None:
    add(project, talk, 1)

    with pytest.raises(AlreadyExists) as caught:
        add(project, talk, 1)

    assert (caught.value.noun, caught.value.id) == ("dataset with url", URL.format(1))


def test_address_may_be_in_two_conversations(project: Project, talk: str) -> None:
    other = project.conversations.create().id

    add(project, talk, 1)
    add(project, other, 1)

    assert (names(project, talk), names(project, other)) == (["table1"], ["table1"])


def test_duplicate_is_told_before_the_limit(project: Project, talk: str) -> None:
    add(project, talk, 1, 2, 3, 4, 5)

    with pytest.raises(AlreadyExists):
        add(project, talk, 1)


@pytest.mark.parametrize("taken", ["name", "id"])
def test_name_and_id_are_taken_once(project: Project, talk: str, taken: str) -> None:
    project.datasets.add(talk, URL.format(1), **{taken: "sales"})

    with pytest.raises(AlreadyExists) as caught:
        project.datasets.add(talk, URL.format(2), **{taken: "sales"})

    assert (caught.value.noun, caught.value.id) == (f"dataset with {taken}", "sales")


def test_missing_conversation_has_no_datasets(project: Project) -> None:
    with pytest.raises(ConversationNotFound):
        project.datasets.add("nowhere", URL.format(1))
    with pytest.raises(ConversationNotFound):
        project.datasets.list("nowhere")


@pytest.mark.parametrize("name", ["", " ", "n" * 256, "\ud800", 7])
def test_name_that_is_not_allowed_is_refused(project: Project, talk: str, name: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        project.datasets.add(talk, URL.format(1), name=name)

    assert caught.value.argument == "name"


# --- names --------------------------------------------------------------------------------------------------------


def test_name_after_a_removal_is_free(project: Project, talk: str) -> None:
    first, _, _ = add(project, talk, 1, 2, 3)
    project.datasets.remove(first)

    add(project, talk, 4)

    assert names(project, talk) == ["table2", "table3", "table4"]


@pytest.mark.parametrize("taken", ["table1", "TABLE1", "Table2"])
def test_own_name_keeps_clear_of_chosen_ones(project: Project, talk: str, taken: str) -> None:
    project.datasets.add(talk, URL.format(1), name=taken)

    add(project, talk, 2, 3)

    assert len({name.lower() for name in names(project, talk)}) == 3


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(0, 4), st.just("add"), st.sampled_from(["table1", "table3", "table7", "t"]))))
def test_names_stay_unique_whatever_is_added_and_removed(project: Project, steps: list[Any]) -> None:
    talk = project.conversations.create().id
    for number, step in enumerate(steps):
        held = project.datasets.list(talk)
        if isinstance(step, int):
            project.datasets.remove(held[step].id if step < len(held) else "none")
        elif len(held) < 5 and step not in {dataset.name for dataset in held}:
            project.datasets.add(talk, URL.format(number), name=None if step == "add" else step)

        assert len(set(names(project, talk))) == len(names(project, talk)) <= 5


# --- limits -------------------------------------------------------------------------------------------------------


def test_sixth_dataset_is_refused_until_one_is_removed(project: Project, talk: str) -> None:
    first, *_ = add(project, talk, 1, 2, 3, 4, 5)
    with pytest.raises(LimitReached, match="limit of 5 datasets of a conversation reached: remove one"):
        add(project, talk, 6)

    project.datasets.remove(first)

    assert add(project, talk, 6)


def test_limit_is_the_callers_choice(project: Project, talk: str) -> None:
    wide = project.datasets.with_limit(7)

    for number in range(7):
        wide.add(talk, URL.format(number))

    with pytest.raises(LimitReached, match="limit of 7"):
        wide.add(talk, URL.format(8))


@pytest.mark.parametrize("limit", [0, -1, 1001, True, "5"])
def test_limit_that_makes_no_sense_is_refused(project: Project, limit: Any) -> None:
    with pytest.raises(InvalidArgument, match="invalid limit"):
        project.datasets.with_limit(limit)


def attempts(project: Project, talk: str, numbers: list[int]) -> list[str]:
    """Add from as many threads, and return how each of them ended."""

    def attempt(number: int) -> str:
        try:
            return project.datasets.add(talk, URL.format(number)).status
        except PeeweeConvError as error:
            return type(error).__name__

    with ThreadPoolExecutor(len(numbers)) as pool:
        return list(pool.map(attempt, numbers))


def test_32_threads_that_add_one_address_add_one_dataset(project: Project, talk: str) -> None:
    outcomes = attempts(project, talk, [1] * 32)

    assert sorted(outcomes) == ["AlreadyExists"] * 31 + ["loading"]
    assert names(project, talk) == ["table1"]


def test_threads_that_add_20_addresses_fill_the_limit_of_5(project: Project, talk: str) -> None:
    outcomes = attempts(project, talk, list(range(20)))

    assert sorted(outcomes) == ["LimitReached"] * 15 + ["loading"] * 5
    assert sorted(names(project, talk)) == ["table1", "table2", "table3", "table4", "table5"]


# --- states -------------------------------------------------------------------------------------------------------


def test_loaded_dataset_is_ready_with_what_was_found(make_project: Callable[..., Project], clock: Clock) -> None:
    project = make_project(now=clock)
    (dataset,) = add(project, project.conversations.create().id, 1)

    ready = project.datasets.mark_ready(dataset, row_count=12, schema=[{"name": "größe", "type": "int"}])

    assert (ready.status, ready.row_count, ready.column_count, ready.loaded_at) == ("ready", 12, 1, START)
    assert ready.schema == [{"name": "größe", "type": "int"}]
    assert project.datasets.get(dataset) == ready


def test_failed_dataset_says_why(project: Project, talk: str) -> None:
    (dataset,) = add(project, talk, 1)

    failed = project.datasets.mark_error(dataset, "404 Not Found")

    assert (failed.status, failed.error_message, failed.loaded_at) == ("error", "404 Not Found", None)


def test_refreshed_dataset_is_loading_and_keeps_what_was_found(project: Project, talk: str) -> None:
    (dataset,) = add(project, talk, 1)
    ready = project.datasets.mark_ready(dataset, row_count=12, schema=["a", "b"])

    refreshed = project.datasets.refresh(dataset)
    failed = project.datasets.mark_error(dataset, "gone")
    again = project.datasets.refresh(dataset)

    assert {**refreshed.to_dict(), "status": "ready"} == ready.to_dict()
    assert (failed.row_count, failed.schema, failed.loaded_at) == (12, ["a", "b"], ready.loaded_at)
    assert again.error_message is None


@pytest.mark.parametrize("state", ["ready", "error"])
def test_only_a_loading_dataset_becomes_ready_or_fails(project: Project, talk: str, state: str) -> None:
    (dataset,) = add(project, talk, 1)
    ends: dict[str, Callable[[], object]] = {
        "ready": lambda: project.datasets.mark_ready(dataset, row_count=1, schema=["a"]),
        "error": lambda: project.datasets.mark_error(dataset, "gone"),
    }
    ends[state]()
    before = project.datasets.get(dataset)

    for end in ends.values():
        with pytest.raises(InvalidArgument, match=f"a dataset that is loading; this one is {state}: refresh it"):
            end()

    assert project.datasets.get(dataset) == before


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"row_count": -1}, "row_count"),
        ({"row_count": 1.0}, "row_count"),
        ({"row_count": 2**60}, "row_count"),
        ({"column_count": -1}, "column_count"),
        ({"schema": {"a": 1}}, "schema"),
        ({"schema": [float("nan")]}, "schema"),
        ({"schema": [{1, 2}]}, "schema"),
        ({"schema": [{1: "a"}]}, "schema"),
        ({"schema": ["\ud800"]}, "schema"),
    ],
    ids=ascii,
)
def test_findings_that_are_not_allowed_are_refused(
    project: Project, talk: str, change: dict[str, Any], argument: str
) -> None:
    (dataset,) = add(project, talk, 1)

    with pytest.raises(InvalidArgument) as caught:
        project.datasets.mark_ready(dataset, **{"row_count": 1, "schema": [], **change})

    assert caught.value.argument == argument
    assert project.datasets.get(dataset).status == "loading"


def test_missing_dataset_is_missing_everywhere(project: Project) -> None:
    datasets = project.datasets

    assert datasets.find("none") is None
    assert datasets.remove("none") is False
    for call in (
        datasets.get,
        datasets.refresh,
        lambda id: datasets.mark_error(id, "gone"),
        lambda id: datasets.mark_ready(id, row_count=1, schema=[]),
    ):
        with pytest.raises(DatasetNotFound, match="dataset 'none' does not exist"):
            call("none")


def test_datasets_go_with_their_conversation(project: Project, talk: str) -> None:
    (dataset,) = add(project, talk, 1)

    project.conversations.delete(talk)

    assert project.datasets.find(dataset) is None


# --- one user -----------------------------------------------------------------------------------------------------


def test_service_of_one_user_knows_no_dataset_of_another(project: Project) -> None:
    ada, bob = sign_up(project).user_id, sign_up(project, "bob").user_id
    talk = project.conversations.create(user_id=bob).id
    (dataset,) = add(project, talk, 1)
    mine = project.datasets.with_limit(9).for_user(ada)

    assert mine.find(dataset) is None
    assert mine.remove(dataset) is False
    for call in (
        lambda: mine.refresh(dataset),
        lambda: mine.mark_error(dataset, "gone"),
        lambda: mine.mark_ready(dataset, row_count=1, schema=[]),
    ):
        with pytest.raises(DatasetNotFound):
            call()
    for call in (lambda: mine.list(talk), lambda: mine.add(talk, URL.format(2))):
        with pytest.raises(ConversationNotFound):
            call()
    assert [found.id for found in project.datasets.for_user(bob).list(talk)] == [dataset]


def test_nobody_is_no_user(project: Project) -> None:
    with pytest.raises(InvalidArgument, match="invalid user_id None"):
        project.datasets.for_user(None)  # type: ignore[arg-type]
