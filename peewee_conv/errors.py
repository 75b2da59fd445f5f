"""Every error that peewee_conv raises, in one tree.

All of them derive from :class:`PeeweeConvError` and none from a Peewee or ``sqlite3`` error, so one ``except``
catches the package and nothing else. Each carries its data as attributes, says what to do next, and is raised from
its cause. Texts never contain message content, tokens or SQL parameters.

>>> try:
...     raise ConversationNotFound("c-17")
... except PeeweeConvError as error:
...     print(error, error.id)
conversation 'c-17' does not exist c-17
"""

from __future__ import annotations

from collections.abc import Iterable


class PeeweeConvError(Exception):
    """The root of every error of this package."""

    def __reduce__(self) -> tuple[object, ...]:
        """Let errors be copied and sent between processes, whatever their constructors ask for."""
        return _rebuild, (type(self), self.args), self.__dict__


class MissingExtra(PeeweeConvError, ImportError):
    """A part of the package was used whose own dependency is not installed; :attr:`extra` names what to install.

    :ivar extra: ``None`` where the package itself is to be installed, by :attr:`dependency`.
    """

    def __init__(self, what: str, dependency: str, extra: str | None) -> None:
        self.what, self.dependency, self.extra = what, dependency, extra
        package = dependency.lower() if extra is None else f"'peewee-conv[{extra}]'"
        super().__init__(f"{what} needs {dependency}: pip install {package}")


# --- projects and scopes ------------------------------------------------------------------------------------------


class ProjectNotBound(PeeweeConvError, RuntimeError):
    """A model was used where no project is bound: outside a scope, or in another thread or task than its own."""

    def __init__(
        self, detail: str = "no project is bound here", advice: str = "enter one first with 'with project:'"
    ) -> None:
        super().__init__(f"{detail}: {advice}")


class ProjectDisposed(PeeweeConvError):
    """The project was disposed or deleted while this caller still used it."""

    def __init__(
        self, path: object, detail: str = "was disposed", advice: str = "construct the Project again to go on"
    ) -> None:
        self.path = str(path)
        super().__init__(f"project database {self.path!r} {detail}: {advice}")


class DatabaseGone(ProjectDisposed):
    """The database file was deleted, replaced or left behind by a fork while it was open; nothing was acknowledged."""


class InvalidProjectName(PeeweeConvError, ValueError):
    """The name cannot be the name of a project below a root."""

    def __init__(self, name: object, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(
            f"invalid project name {_shorten(name)}: {reason}; "
            "use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"
        )


class ProjectNotFound(PeeweeConvError, LookupError):
    """There is no project of that name below the root."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"project {name!r} does not exist: create it with Projects.create()")


class NoCurrentProject(ProjectNotFound):
    """A web request belongs to no project, and its code asked for the current one."""

    def __init__(self) -> None:
        PeeweeConvError.__init__(self, "this request belongs to no project: what project_of() returned is None")
        self.name = ""


# --- arguments ----------------------------------------------------------------------------------------------------


class InvalidArgument(PeeweeConvError, ValueError):
    """An argument is refused before anything is written; :attr:`argument` names it, :attr:`allowed` what it may be."""

    def __init__(self, argument: str, value: object, allowed: str) -> None:
        self.argument, self.value, self.allowed = argument, value, allowed
        super().__init__(f"invalid {argument} {_shorten(value)}: expected {allowed}")


class InvalidRole(InvalidArgument):
    """The role of a message is none of the five."""

    def __init__(self, role: object, allowed: Iterable[str]) -> None:
        super().__init__("role", role, "one of " + ", ".join(allowed))


class InvalidContent(InvalidArgument):
    """The content of a message is no text, too large, or not encodable as UTF-8. The content is not repeated here."""

    def __init__(self, reason: str, allowed: str) -> None:
        self.reason = reason
        PeeweeConvError.__init__(self, f"invalid content ({reason}): expected {allowed}")
        self.argument, self.value, self.allowed = "content", None, allowed


class AlreadyExists(PeeweeConvError):
    """A row with that id (or other unique value) is there already."""

    def __init__(self, noun: str, id: object) -> None:
        self.noun, self.id = noun, id
        super().__init__(f"{noun} {_shorten(id)} already exists: choose another id, or leave it out")


class FileAlreadyExists(AlreadyExists):
    """A file is there already, and replacing it was not asked for."""

    def __init__(self, path: object) -> None:
        PeeweeConvError.__init__(
            self, f"file {str(path)!r} already exists: choose another path, or pass overwrite=True"
        )
        self.noun, self.id = "file", str(path)


# --- missing rows -------------------------------------------------------------------------------------------------


class NotFound(PeeweeConvError, LookupError):
    """A row that was asked for by id does not exist. ``find`` answers ``None`` where ``get`` raises this."""

    noun = "row"

    def __init__(self, id: object) -> None:
        self.id = id
        super().__init__(f"{self.noun} {_shorten(id)} does not exist")


class AssistantNotFound(NotFound):
    """No assistant has that id."""

    noun = "assistant"


class ConversationNotFound(NotFound):
    """No conversation has that id."""

    noun = "conversation"


class MessageNotFound(NotFound):
    """No message has that id or sequence."""

    noun = "message"


class UserNotFound(NotFound):
    """No user has that id."""

    noun = "user"


class DatasetNotFound(NotFound):
    """No dataset has that id."""

    noun = "dataset"


class FeatureNotFound(NotFound):
    """No feature has that id."""

    noun = "feature"


class ScheduleNotFound(NotFound):
    """No schedule has that id."""

    noun = "schedule"


# --- rules --------------------------------------------------------------------------------------------------------


class LimitReached(PeeweeConvError):
    """A documented limit (open connections, datasets of a conversation, messages of an import) is reached."""

    def __init__(self, what: str, limit: int, advice: str) -> None:
        self.what, self.limit = what, limit
        super().__init__(f"limit of {limit} {what} reached: {advice}")


class RateLimited(PeeweeConvError):
    """A user's token budget of the rolling window is spent; :attr:`retry_after` says when, in seconds."""

    def __init__(self, limit: int, used: int, retry_after: float) -> None:
        self.limit, self.used, self.retry_after = limit, used, retry_after
        super().__init__(f"token limit reached: {used} of {limit} used, retry in {retry_after:.0f} s")


class ReferralKeyInvalid(PeeweeConvError):
    """The referral key is unknown or used. Which of the two is not said, on purpose."""

    def __init__(self) -> None:
        super().__init__("referral key is not valid: ask for a new one")


class ReferralKeyRequired(ReferralKeyInvalid):
    """A new user signs in without a referral key."""

    def __init__(self) -> None:
        PeeweeConvError.__init__(self, "a new user needs a referral key: pass referral_key=")


class DependencyCycle(PeeweeConvError, ValueError):
    """The dependency would make a feature wait for itself; :attr:`path` lists the ids of the cycle."""

    def __init__(self, path: Iterable[int]) -> None:
        self.path = list(path)
        super().__init__("dependency cycle: " + " -> ".join(map(str, self.path)))


class MessageStateConflict(PeeweeConvError):
    """The message is not in a state that allows the operation; :attr:`reason` says why."""

    def __init__(self, sequence: int, reason: str) -> None:
        self.sequence, self.reason = sequence, reason
        super().__init__(f"message {sequence} cannot be changed: {reason}")


class FeatureStateConflict(PeeweeConvError):
    """The feature is not in a state that allows the operation; :attr:`reason` says why."""

    def __init__(self, id: int, reason: str) -> None:
        self.id, self.reason = id, reason
        super().__init__(f"feature {id} cannot be changed: {reason}")


class ImportRejected(PeeweeConvError, ValueError):
    """An import is refused whole; :attr:`source`, :attr:`line` (1-based, or ``None``) and :attr:`reason` say where.

    :ivar stored: how many conversations were stored before somebody else wrote one of the others differently in the
        middle of the import; else 0.
    """

    def __init__(self, source: object, line: int | None, reason: str, *, stored: int = 0) -> None:
        self.source, self.line, self.reason, self.stored = str(source), line, reason, stored
        where = self.source if line is None else f"{self.source}, line {line}"
        done = f"{stored} conversations were stored before" if stored else "nothing was written"
        super().__init__(f"import rejected ({where}): {reason}; {done}")


# --- the database file --------------------------------------------------------------------------------------------


class DatabaseFailure(PeeweeConvError):
    """SQLite reported a fault of the file or its disk; :attr:`path` names the file, ``__cause__`` the report."""

    advice = "see the cause"

    def __init__(self, path: object, detail: str) -> None:
        self.path, self.detail = str(path), detail
        super().__init__(f"{detail} ({self.path}): {self.advice}")


class DatabaseBusy(DatabaseFailure):
    """Another writer held the lock for longer than the busy timeout. Nothing was written."""

    advice = "retry later, or raise busy_timeout_ms"


class ProjectInUse(DatabaseBusy):
    """The project is in use in a way that the call cannot go along with: other settings, or a transaction."""

    advice = "end that use, or dispose() the project first"


class DatabaseFull(DatabaseFailure):
    """The disk is full. Nothing was written; reads go on, writes work again when space is back."""

    advice = "free some space, then retry"


class DatabaseIOError(DatabaseFailure):
    """The disk or file system reported an error. Nothing was acknowledged."""

    advice = "check the disk and the mount, then retry"


class DatabaseReadOnly(DatabaseFailure):
    """The file, its directory or its file system cannot be written."""

    advice = "make the file and its directory writable"


class DatabaseCorrupt(DatabaseFailure):
    """The file is no SQLite database, or damaged. It was left untouched."""

    advice = "restore a backup, or run 'peewee-conv check'"


class ForeignDatabase(DatabaseFailure):
    """The file is a sound SQLite database of somebody else. It was left untouched."""

    advice = "move it away, or choose another project directory"


class SourceNotRecognised(ForeignDatabase):
    """A database that was to be adopted is of no system that is known; nothing was written."""

    advice = "pass a database of AutoForge, Sovereign Assistant, HAIA or ChatDF"


class SchemaTooNew(DatabaseFailure):
    """A newer release has upgraded the file; :attr:`found` and :attr:`known` are the two schema versions."""

    advice = "upgrade peewee_conv"

    def __init__(self, path: object, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(path, f"schema version {found} is newer than {known}, the newest this release knows")


class MigrationFailed(DatabaseFailure):
    """An upgrade or downgrade could not be carried out; the file is as it was before. :attr:`name` is the script."""

    advice = "nothing was changed; see the cause"

    def __init__(self, path: object, name: str | None, detail: str) -> None:
        self.name = name
        super().__init__(path, f"migration {name} failed: {detail}" if name else f"migrations refused: {detail}")


def _rebuild(kind: type[PeeweeConvError], args: tuple[object, ...]) -> PeeweeConvError:
    error = kind.__new__(kind)
    error.args = args
    return error


def _shorten(value: object) -> str:
    if isinstance(value, str | bytes):
        value = value[:80]
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a number of 5000 digits, a thousand levels, an object of the caller's
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 80 else text[:77] + "..."
