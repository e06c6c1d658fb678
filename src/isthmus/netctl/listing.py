"""Lists of objects: in columns, as names, or as JSON."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from isthmus.netctl.client import Object
from isthmus.netctl.command import JSON, QUIET, WIDE, Call
from isthmus.netctl.output import print_json, table
from isthmus.wire.goflags import Flag

Show = str | Callable[[Object], str]


class Column(NamedTuple):
    """A column. `show` is the field that it shows, or makes the cell."""

    heading: str
    underline: str
    show: Show

    def cell(self, thing: Object) -> str:
        """What stands in an object's row."""
        return str(thing.get(self.show, "")) if isinstance(self.show, str) else self.show(thing)


class Listing(NamedTuple):
    """How objects of one kind are listed: by the field `name` where only names are wanted, else in columns."""

    name: str
    columns: tuple[Column, ...]
    wide: tuple[Column, ...] = ()

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The options for its forms."""
        return (JSON, QUIET, WIDE) if self.wide else (JSON, QUIET)

    def show(self, call: Call, objects: Sequence[Object]) -> None:
        """Print the objects in the form that the command line asks for."""
        is_wide = bool(self.wide) and call.parsed.is_on("wide")
        show(call, objects, self.name, lambda: columns(self.wide if is_wide else self.columns, objects))


def show(call: Call, objects: Sequence[Object], name: str, text: Callable[[], str]) -> None:
    """Print the objects as JSON or by name where the command line asks for it, else `text`."""
    if call.parsed.is_on("json"):
        print_json(objects)
    elif call.parsed.is_on("quiet"):
        print("".join(f"{each[name]}\n" for each in objects), end="")
    else:
        print(text(), end="")


def columns(shown: Sequence[Column], objects: Iterable[Object]) -> str:
    """The objects as a table, a row each."""
    headings, underlines, _ = zip(*shown, strict=True)
    return table((headings, underlines, *([column.cell(each) for column in shown] for each in objects)))


def of_tenant(call: Call, collection: str) -> list[Object]:
    """The objects of the tenant, or of all where the command line says so; a tenant that is not there is an error."""
    everyone = call.client.objects(collection)
    own = [each for each in everyone if each["tenantName"] == call.tenant]
    if not own:
        call.client.object("tenants", call.tenant)  # even where all are wanted, as in Contiv
    return everyone if call.parsed.is_on("all") else own


def number(field: str) -> Callable[[Object], str]:
    """Show a number: zeros are left out of JSON."""
    return lambda thing: str(thing.get(field, 0))


LAST = Column("", "", lambda _: "")  # pads the column before it, where Contiv ends its lines with a tab


def joined(field: str) -> Callable[[Object], str]:
    """Show a list of words."""
    return lambda thing: ",".join(thing.get(field, ()))
