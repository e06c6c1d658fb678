"""`netctl external-contracts` and `netctl aci-gw`, which are there to say that this system has no ACI."""

from collections.abc import Callable

from isthmus.netctl.command import ALL, JSON, QUIET, TENANT, Call, Command, FailedError
from isthmus.wire.goflags import Flag, Kind


def _refused(collection: str) -> Callable[[Call], None]:
    def ask(call: Call) -> None:
        call.client.objects(collection)  # netmaster refuses, and says why
        raise FailedError("this netctl knows nothing of ACI, other than the netmaster that it speaks to")

    return ask


_contracts = _refused("extContractsGroups")
_gateway = _refused("aciGws")
_SUMMARY = "Refused: this system has no ACI"

_CONTRACTS_FLAGS = (
    TENANT,
    Flag(("consumed", "c"), "Consumed contracts", Kind.SWITCH),
    Flag(("provided", "p"), "Provided contracts", Kind.SWITCH),
    Flag(("contract", "a"), "Contract; may be repeated", Kind.LIST),
)
_GATEWAY_FLAGS = (
    Flag(("path-bindings", "p"), "Paths"),
    Flag(("node-bindings", "n"), "Nodes"),
    Flag(("phys-dom", "d"), "Physical domain"),
    Flag(("enforce-policies", "e"), "yes or no", default="yes"),
    Flag(("include-common-tenant", "i"), "yes or no", default="no"),
)

CONTRACTS = (
    Command(("create",), _SUMMARY, "[contracts group]", _CONTRACTS_FLAGS, _contracts),
    Command(("inspect",), _SUMMARY, "[contracts group]", (TENANT,), _contracts),
    Command(("ls", "list"), _SUMMARY, "", (TENANT, ALL, JSON, QUIET), _contracts),
    Command(("rm", "delete"), _SUMMARY, "[contracts group]", (TENANT,), _contracts),
)
GATEWAY = (
    Command(("info",), _SUMMARY, "", (JSON,), _gateway),
    Command(("inspect",), _SUMMARY, "", (), _gateway),
    Command(("set",), _SUMMARY, "", _GATEWAY_FLAGS, _gateway),
)
