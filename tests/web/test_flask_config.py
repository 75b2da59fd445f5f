"""The keys ``PEEWEE_CONV_*``, and registering the extension once on each application."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import flask
import pytest
from flask_app import make_app, make_project

from peewee_conv import Project
from peewee_conv.errors import InvalidArgument
from peewee_conv.flask_ext import PeeweeConv, current_project


def registered(**config: Any) -> flask.Flask:
    app = flask.Flask("sample")
    app.config.update(config)
    PeeweeConv(app)
    return app


def test_settings_reach_the_projects(tmp_path: Path) -> None:
    app = registered(PEEWEE_CONV_PROJECT=tmp_path, PEEWEE_CONV_DATA_DIR="kept", PEEWEE_CONV_COUNT_TOKENS=len)

    with app.app_context():
        talk = current_project.conversations.create()
        message = current_project.conversations.add_message(talk.id, "user", "four")

    assert message.token_count == 4
    assert (tmp_path / "kept" / "assistant.db").is_file()


def test_settings_reach_the_projects_below_a_root(tmp_path: Path) -> None:
    make_app(tmp_path / "projects", PEEWEE_CONV_DATA_DIR="kept")
    make_project(tmp_path / "projects", "aurora").dispose()
    client = make_app(tmp_path / "projects", PEEWEE_CONV_DATA_DIR="kept").test_client()

    client.get("/aurora/titles")

    assert (tmp_path / "projects" / "aurora" / "kept" / "assistant.db").is_file()


def test_environment_sets_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_PEEWEE_CONV_PROJECT", str(tmp_path))
    monkeypatch.setenv("FLASK_PEEWEE_CONV_MAX_CONTENT_BYTES", "3")
    app = flask.Flask("sample")
    app.config.from_prefixed_env()
    PeeweeConv(app)

    with app.app_context():
        talk = current_project.conversations.create()
        with pytest.raises(InvalidArgument, match="invalid content"):
            current_project.conversations.add_message(talk.id, "user", "four")


def test_relative_path_is_below_the_instance_folder(tmp_path: Path) -> None:
    app = flask.Flask("sample", instance_path=str(tmp_path / "instance"))
    app.config["PEEWEE_CONV_ROOT"] = "projects"
    conv = PeeweeConv()
    conv.init_app(app)

    with app.app_context():
        assert conv.projects.path == tmp_path / "instance" / "projects"


def test_defaults_are_put_into_the_configuration() -> None:
    config = {key: value for key, value in registered().config.items() if key.startswith("PEEWEE_CONV_")}

    assert config == {"PEEWEE_CONV_ROOT": None, "PEEWEE_CONV_PROJECT": None, "PEEWEE_CONV_HANDLE_ERRORS": True}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("PEEWEE_CONV_DURABILTY", "full", "invalid configuration key 'PEEWEE_CONV_DURABILTY': expected PEEWEE_CONV_"),
        ("PEEWEE_CONV_DURABILITY", "none", "invalid durability 'none': expected 'full' or 'normal'"),
        ("PEEWEE_CONV_ROOT", "", "invalid PEEWEE_CONV_ROOT '': expected a path, or None"),
        ("PEEWEE_CONV_PROJECT", 7, "invalid PEEWEE_CONV_PROJECT 7: expected a path, or None"),
        ("PEEWEE_CONV_ROOT", "a\0b", "expected a non-empty path of a directory, without NUL"),
    ],
)
def test_wrong_key_is_refused_when_the_application_is_made(key: str, value: object, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        registered(**{key: value})

    assert told in str(caught.value)


def test_root_and_one_project_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="expected None where PEEWEE_CONV_ROOT is set"):
        registered(PEEWEE_CONV_ROOT=tmp_path, PEEWEE_CONV_PROJECT=tmp_path / "aurora")


def test_second_registration_is_refused() -> None:
    app = registered()

    with pytest.raises(InvalidArgument, match="on which PeeweeConv is not registered yet"):
        PeeweeConv(app)


def test_one_object_serves_what_a_factory_makes(tmp_path: Path) -> None:
    conv = PeeweeConv(project=lambda: Project(tmp_path / "aurora"))
    apps = [flask.Flask(name) for name in ("one", "two")]
    for app in apps:
        conv.init_app(app)
        app.add_url_rule("/", "index", lambda: current_project.name)

    assert [app.test_client().get("/").text for app in apps] == ["aurora", "aurora"]
    assert not any(isinstance(value, flask.Flask) for value in vars(conv).values())


def test_importing_the_package_does_not_import_flask() -> None:
    program = "import sys, peewee_conv; print('flask' in sys.modules, 'click' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False False\n"


def test_without_flask_one_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['flask'] = None; import peewee_conv.flask_ext"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stderr.splitlines()[-1].endswith("peewee_conv.flask_ext needs Flask: pip install 'peewee-conv[web]'")
