"""Requests of many objects at once: those whose form is to be checked, and the records of a backup."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from isthmus.core.errors import InvalidError, UnreadableRecordError
from isthmus.core.model import Record
from isthmus.wire import keys
from isthmus.wire.rest.bodies import BackupBody, Candidate, CheckBody
from isthmus.wire.rest.requests import json_object, refusal


def parse_check(body: bytes) -> list[Candidate]:
    """The objects that a request wants checked."""
    try:
        return CheckBody.model_validate(json_object(body)).objects
    except ValidationError as error:
        raise refusal(error) from None


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup's records, and their values as they are to be written, both by key."""

    records: Mapping[str, Record]
    values: Mapping[str, bytes]


def parse_backup(body: bytes) -> Backup:
    """The records that a request wants written.

    Raises:
        InvalidError: a record is not of this version, cannot be read, or stands under another's key.
    """
    try:
        texts = BackupBody.model_validate(json_object(body)).records
    except ValidationError as error:
        raise refusal(error) from None
    values = {key: text.encode(errors="surrogatepass") for key, text in texts.items()}
    return Backup({key: _record(key, value) for key, value in values.items()}, values)


def _record(key: str, value: bytes) -> Record:
    try:
        record = keys.parse(key, value)
    except UnreadableRecordError as error:
        raise InvalidError(str(error)) from None
    if record is None:
        raise InvalidError(f"record {json.dumps(key)} is of a kind that this version does not know")
    if keys.key_of(record) != key:
        raise InvalidError(f"record {key} cannot be: its value is that of {keys.key_of(record)}")
    return record
