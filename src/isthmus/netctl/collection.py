"""What can be done in every collection of netmaster's REST API: create, inspect, list, delete."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from isthmus.netctl.client import Done, Object
from isthmus.netctl.command import ALL, TENANT, Call, Command
from isthmus.netctl.listing import Listing, of_tenant
from isthmus.netctl.output import complain, print_json
from isthmus.wire.goflags import Flag, Parsed

_NONE: Mapping[str, Flag] = {}


def _anything_goes(_: Parsed) -> None:
    pass


def fields(parsed: Parsed, options: Mapping[str, Flag]) -> dict[str, object]:
    """What the options give, by field."""
    return {field: parsed.values[option.name] for field, option in options.items()}


class Collection(NamedTuple):
    """The objects of one kind, and what is said of them.

    `created` and `deleted` are printed after the act, and nothing where they are empty; `{key}`, `{name}` and
    `{tenant}` stand in them for the object's own.
    """

    path: str
    noun: str
    name_field: str
    missing: str  # said where the command line has no name
    created: str = ""
    deleted: str = ""
    has_tenant: bool = True
    replaced: str = ""  # what a shell may offer where one is created: what is there already and may be changed

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What every command about one object takes."""
        return (TENANT,) if self.has_tenant else ()

    def create(self, call: Call, name: str, fields: Mapping[str, object]) -> None:
        """Create the object, or change it if it is there and may be changed."""
        tenant = {"tenantName": call.tenant} if self.has_tenant else {}
        body = {**tenant, self.name_field: name, **fields}
        self._report(call, name, call.client.create(self.path, self.key(call, name), body), self.created)

    def create_command(
        self, summary: str, options: Mapping[str, Flag] = _NONE, check: Callable[[Parsed], None] = _anything_goes
    ) -> Command:
        """`create`; `options` are by the field that they give, and `check` refuses what is no use to send."""

        def create(call: Call) -> None:
            name = call.only_argument(self.missing)
            check(call.parsed)
            self.create(call, name, fields(call.parsed, options))

        flags = (*self.flags, *options.values())
        return Command(("create",), summary, f"[{self.noun}]", flags, create, completes=(self.replaced,))

    def remove_command(self, summary: str) -> Command:
        """`rm`."""
        return Command(("rm", "delete"), summary, f"[{self.noun}]", self.flags, self._remove, completes=(self.path,))

    def _remove(self, call: Call) -> None:
        name = call.only_argument(self.missing)
        self._report(call, name, call.client.delete(self.path, self.key(call, name)), self.deleted)

    def inspect_command(self, missing: str = "") -> Command:
        """`inspect`; `missing` is said where there is no name, if it is not what the other commands say."""

        def inspect(call: Call) -> None:
            name = call.only_argument(missing or self.missing)
            print_json(call.client.inspect(self.path, self.key(call, name)))

        return Command(
            ("inspect",),
            f"Show the {self.noun} and its state as JSON",
            f"[{self.noun}]",
            self.flags,
            inspect,
            completes=(self.path,),
        )

    def list_command(
        self, summary: str, listing: Listing, listed: Callable[[Call], list[Object]] | None = None
    ) -> Command:
        """`ls`; `listed` gives the objects, if they are not those of the collection."""

        def show(call: Call) -> None:
            call.no_arguments()
            listing.show(call, listed(call) if listed else self._listed(call))

        flags = (TENANT, ALL) if self.has_tenant else ()
        return Command(("ls", "list"), summary, "", (*flags, *listing.flags), show)

    def _listed(self, call: Call) -> list[Object]:
        return of_tenant(call, self.path) if self.has_tenant else call.client.objects(self.path)

    def key(self, call: Call, name: str) -> str:
        """The key of the object of that name."""
        return f"{call.tenant}:{name}" if self.has_tenant else name

    def _report(self, call: Call, name: str, answer: Done, said: str) -> None:
        key = self.key(call, name)
        if said:
            print(said.format(key=key, name=name, tenant=call.tenant if self.has_tenant else ""))
        if answer.pending:
            complain(f"{self.noun} {key}: not yet so on {answer.pending}", "warning")
