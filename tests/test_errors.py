"""One tree of errors: each carries its data, says what to do, and can be sent to another process."""

from __future__ import annotations

import copy
import inspect
import pickle

import peewee
import pytest

from peewee_conv import errors
from peewee_conv.errors import PeeweeConvError

EVERY = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == errors.__name__
]
#: An argument for each parameter name of a constructor.
SAMPLES = {
    "path": "/tmp/x/assistant.db",
    "detail": "disk I/O error",
    "name": "0002_step",
    "reason": "there is a reason",
    "argument": "role",
    "value": "robot",
    "allowed": "one of user, assistant",
    "noun": "conversation",
    "id": 17,
    "what": "open connections",
    "limit": 64,
    "advice": "raise the limit",
    "used": 65,
    "retry_after": 12.5,
    "source": "chat.jsonl",
    "line": 3,
    "found": 9,
    "known": 1,
    "earliest": None,
}
OWN_SAMPLES: dict[tuple[str, str], object] = {
    ("InvalidRole", "allowed"): ("user", "assistant"),
    ("DependencyCycle", "path"): [1, 2, 1],
}


def make(kind: type[PeeweeConvError]) -> PeeweeConvError:
    if kind.__init__ is Exception.__init__:
        return kind("text")
    parameters = inspect.signature(kind).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    return kind(*(OWN_SAMPLES.get((kind.__name__, name), SAMPLES.get(name, name)) for name in names))


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_is_of_the_one_tree(kind: type[Exception]) -> None:
    assert issubclass(kind, PeeweeConvError)
    assert not issubclass(kind, peewee.PeeweeException)
    assert kind.__doc__


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_says_something_in_one_line(kind: type[PeeweeConvError]) -> None:
    text = str(make(kind))

    assert text
    assert "\n" not in text


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_can_be_sent_to_another_process(kind: type[PeeweeConvError]) -> None:
    error = make(kind)

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert (str(twin), vars(twin)) == (str(error), vars(error))


@pytest.mark.parametrize("kind", [kind for kind in EVERY if issubclass(kind, errors.NotFound)])
def test_a_missing_row_is_a_lookup_error_that_names_it(kind: type[errors.NotFound]) -> None:
    error = kind("x-17")

    assert isinstance(error, LookupError)
    assert str(error) == f"{kind.noun} 'x-17' does not exist"


@pytest.mark.parametrize("kind", [kind for kind in EVERY if issubclass(kind, errors.DatabaseFailure)])
def test_a_fault_of_the_file_names_it_and_says_what_to_do(kind: type[errors.DatabaseFailure]) -> None:
    error = make(kind)

    assert "/tmp/x/assistant.db" in str(error)
    assert str(error).endswith(kind.advice)


def test_long_values_are_shortened() -> None:
    text = str(errors.InvalidArgument("title", "x" * 10_000, "at most 200 characters"))

    assert len(text) < 200
    assert text.endswith("...: expected at most 200 characters")


def test_the_content_of_a_message_is_not_repeated() -> None:
    error = errors.InvalidContent("it is no text", "a str")

    assert (error.argument, error.value) == ("content", None)
    assert str(error) == "invalid content (it is no text): expected a str"


def test_which_of_the_two_is_wrong_with_a_referral_key_is_not_said() -> None:
    assert str(errors.ReferralKeyInvalid()) == "referral key is not valid: ask for a new one"
