"""The form of many objects at once: what is wrong with any of them is told before the first is created."""

import json
from collections.abc import Iterator

from fastapi import Request, Response

from isthmus.core.errors import InvalidError
from isthmus.netmaster.answers import answer
from isthmus.netmaster.kinds import KINDS
from isthmus.wire.rest.batches import parse_check
from isthmus.wire.rest.bodies import Candidate, FaultBody

_CREATES = {kind.collection: kind.create for kind in KINDS if kind.create}


async def check(request: Request) -> Response:
    """What a creation of each would be refused for whatever else there is. Nothing is read, and nothing written."""
    return answer(_faults(parse_check(await request.body())))


def _faults(candidates: list[Candidate]) -> Iterator[FaultBody]:
    for index, each in enumerate(candidates):
        try:
            _parse(each)
        except InvalidError as error:
            yield FaultBody(index=index, text=str(error))


def _parse(candidate: Candidate) -> None:
    create = _CREATES.get(candidate.collection)
    if create is None:
        raise InvalidError(f"{candidate.collection} is no collection in which objects are created")
    create(json.dumps(candidate.fields).encode(), candidate.key)
