"""Pages with rows that the driver or a column's type cannot read, such as an unknown enum label or the date 'infinity'.

A page is read in one statement. Where that fails, this module reads the same page again: first the columns that order
and identify the rows, then their content in halves, until each row that cannot be read is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from sqlalchemy import Column, Select, String, cast, type_coerce
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from workmesh_flows.adapters.store.engine import sqlstate, translated_errors
from workmesh_flows.adapters.store.keys import in_parts
from workmesh_flows.adapters.store.record_pages import Page, RowContent, RowLayout
from workmesh_flows.adapters.store.statements.page_order import Mark
from workmesh_flows.domain.columns import first_line
from workmesh_flows.errors import StoreError, StoreUnavailable
from workmesh_flows.planning.bisection import Sendable, Unreadable

Statement: TypeAlias = Callable[[Collection[Any]], Select[Any]]
"""Returns the statement of a page with these columns; it adds the owner's key, and what the records depend on."""

_DATA = frozenset({"22", "P0", "XX"})
"""SQLSTATE classes: a value that cannot be converted or computed, an error raised by a function, damaged data."""
ATTEMPTS = 3
"""Attempts to read a page whose rows are changed or deleted meanwhile."""
LONGEST_REASON = 300
"""Characters of an error's first line in a reason."""


def read_page(session: Session, layout: RowLayout, statement: Statement) -> tuple[Page, Mark | None]:
    """The records of a page, and where it ends; a record that cannot be read is Unreadable.

    Raises StoreError where the statement fails for every row, or a row cannot be identified.
    """
    try:
        with translated_errors():
            rows = layout.content.rows(session.execute(statement(layout.columns)), begin=2)
            session.commit()
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - a user-defined type raises anything
        with _discarded(session), _as_store_error(layout):
            return _read_again(session, layout, statement, error)
    return layout.sendables(rows), (layout.mark(rows[-1]) if rows else None)


def reason_of(error: BaseException) -> str:
    """The first line of the driver's error, or of the error of a type with its name."""
    cause = error.__cause__ or error if isinstance(error, StoreError) else error
    if isinstance(cause, DBAPIError):
        cause = cause.orig or cause
    elif not isinstance(cause, SQLAlchemyError):
        return f"{type(cause).__name__}: {first_line(cause)}"[:LONGEST_REASON]
    return first_line(cause)[:LONGEST_REASON]


def _read_again(
    session: Session, layout: RowLayout, statement: Statement, error: Exception
) -> tuple[Page, Mark | None]:
    # Without rows only the statement itself can be at fault, such as a column that does not exist.
    if not _is_about_the_row(error) or _error_of(session, statement(layout.columns).limit(0), layout.content):
        raise error
    for _ in range(ATTEMPTS):
        rows = _identified(session, layout, statement)
        ids = [row[1] for row in rows]
        unreadable = dict(unreadable_rows(session, layout.content, ids))
        content = _content(session, layout.content, [key for key in ids if key not in unreadable])
        if all(key in unreadable or key in content for key in ids):
            items = [Sendable(unreadable.get(row[1]) or content[row[1]], row[1], row[2]) for row in rows]
            if rows and len(rows[0]) > 3:  # noqa: PLR2004 - mark, id and owner
                layout.set_dependencies(items, rows)
            return items, (layout.mark(rows[-1]) if rows else None)
    table = layout.tables.record.fullname
    raise StoreUnavailable(
        f"records of {table} are not found again under their ids: deleted or changed meanwhile, or stored in another "
        "form than their type writes (UUIDs with dashes in SQLite); workmesh check looks for such keys"
    )


def _identified(session: Session, layout: RowLayout, statement: Statement) -> Sequence[Any]:
    """The rows of a page without their content: mark, id, owner, and what they depend on."""
    mark, key = layout.columns[:2]
    found = _attempted(session, statement((mark, key)))
    if isinstance(found, Exception) and session.get_bind().dialect.name == "postgresql":
        # In text form the mark can be read whatever it is, and PostgreSQL reads it back.
        mark = type_coerce(cast(layout.order, String), NULLTYPE)
        found = _attempted(session, statement((mark, key)))
    if not isinstance(found, Exception):
        return found
    tables = layout.tables
    parts = {layout.order: mark, tables.id: key, tables.entities.key: tables.joined.owner}
    for column, part in parts.items():
        problem = _attempted(session, statement(()).with_only_columns(part))
        if isinstance(problem, Exception):
            raise StoreError(
                f"{_place(column)} of at least one record cannot be read, which every record needs to be sent in "
                f"order: {reason_of(problem)}; correct the value"
            ) from problem
    raise found


def _attempted(session: Session, statement: Select[Any]) -> Sequence[Any] | Exception:
    """The rows of a statement, or the error that reading them raises."""
    try:
        with translated_errors():
            return session.execute(statement).all()
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - a user-defined type raises anything
        session.rollback()
        return error


def unreadable_rows(
    session: Session, content: RowContent, ids: Sequence[Any]
) -> Iterator[tuple[Any, Unreadable]]:
    """The ids of the rows that cannot be read, with reasons; halves are read until these rows are alone."""
    parts = list(in_parts(ids))
    while parts:
        part = parts.pop(0)
        error = _error_of(session, content.of(part), content)
        if error is None:
            continue
        if len(part) == 1:
            yield part[0], Unreadable(_reason(session, content, part[0], error))
        else:
            middle = len(part) // 2
            parts[:0] = [part[:middle], part[middle:]]


def _error_of(
    session: Session, statement: Select[Any], content: RowContent | None = None
) -> Exception | None:
    """The error of reading a statement's rows, in a session of its own: a failed one may hold half of its objects."""
    with Session(session.get_bind(), autoflush=False) as scratch:
        try:
            with translated_errors():
                result = scratch.execute(statement)
                _ = result.all() if content is None else content.rows(result, begin=1)
        except StoreUnavailable:
            raise
        except Exception as error:
            if not _is_about_the_row(error):
                raise
            return error
    return None


def _is_about_the_row(error: Exception) -> bool:
    """Whether a value is at fault: an error of a type or of the driver, or one of PostgreSQL about data."""
    cause = error.__cause__
    code = sqlstate(cause) if isinstance(cause, DBAPIError) else ""
    return not code or code[:2] in _DATA


def _reason(session: Session, content: RowContent, key: Any, error: Exception) -> str:  # noqa: ANN401 - any key
    """Names table, column and key, and quotes the first line of the error."""
    for column in content.columns:
        alone = RowContent(content.key, {column.key: column})
        problem = _error_of(session, alone.of([key]), alone)
        if problem is not None:
            return f"{_place(column)} of record {key} cannot be read: {reason_of(problem)}"
    return f"record {key} of {content.key.table} cannot be loaded: {reason_of(error)}"


def _content(session: Session, content: RowContent, ids: Sequence[Any]) -> dict[Any, Any]:
    """The records with these ids, by id."""
    found: dict[Any, Any] = {}
    for some in in_parts(ids):
        with translated_errors():
            rows = content.rows(session.execute(content.of(some)), begin=1)
            session.commit()
        found.update((row[0], content.record(row[1:])) for row in rows)
    return found


def _place(column: Column[Any]) -> str:
    return f"{column.table}.{column.name}"


@contextmanager
def _discarded(session: Session) -> Iterator[None]:
    """End the failed transaction, and discard objects of which only a part was read."""
    with translated_errors():
        session.rollback()
        session.expunge_all()
    yield


@contextmanager
def _as_store_error(layout: RowLayout) -> Iterator[None]:
    """No error of a type or driver leaves untranslated."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        raise StoreError(
            f"records of {layout.tables.record.fullname} cannot be read: {reason_of(error)}"
        ) from error
