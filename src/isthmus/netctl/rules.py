"""`netctl policy rule-add`, `rule-rm` and `rule-ls`."""

from isthmus.netctl.client import Object
from isthmus.netctl.collection import fields
from isthmus.netctl.command import JSON, QUIET, TENANT, WIDE, Call, Command, FailedError
from isthmus.netctl.listing import Column, columns, number, show
from isthmus.wire.goflags import Flag, Kind, Parsed

_WRONG_USAGE = 1

_OPTIONS = {
    "priority": Flag(("priority", "p"), "1 to 100; the higher wins", Kind.NUMBER, 1),
    "direction": Flag(
        ("direction", "d"), "in or out, as the members of the group see it", default="in", completes="in|out"
    ),
    "fromEndpointGroup": Flag(("from-group", "g"), "Group that sends; direction in", completes="endpointGroups"),
    "toEndpointGroup": Flag(("to-group", "e"), "Group that is sent to; direction out", completes="endpointGroups"),
    "fromNetwork": Flag(("from-network", "n"), "Network that sends; direction in", completes="networks"),
    "toNetwork": Flag(("to-network", "o"), "Network that is sent to; direction out", completes="networks"),
    "fromIpAddress": Flag(("from-ip-address", "i"), "Sender: ADDRESS, ADDRESS/LEN or ADDRESS-ADDRESS; direction in"),
    "toIpAddress": Flag(("to-ip-address", "s"), "Receiver: ADDRESS, ADDRESS/LEN or ADDRESS-ADDRESS"),
    "protocol": Flag(("protocol", "l"), "tcp, udp, icmp or a number; any if it is not given", completes="tcp|udp|icmp"),
    "port": Flag(("port", "P"), "TCP or UDP port; 0 is any", Kind.NUMBER),
    "action": Flag(("action", "j"), "allow or deny", default="allow", completes="allow|deny"),
}
_USELESS = {  # by direction
    "in": ("incoming", ("to-group", "to-network")),
    "out": ("outgoing", ("from-group", "from-network", "from-ip-address")),
}
_EXCLUSIVE = {
    "in": (("from-group", "from-network"), "Can't specify both from-group argument and -from-network"),
    "out": (("to-group", "to-network"), "Can't specify both -to-group and -to-network"),
}

_RULE = (Column("Rule", "----", "ruleId"), Column("Priority", "--------", number("priority")))
_TRAFFIC = (
    Column("Protocol", "--------", "protocol"),
    Column("Port", "----", number("port")),
    Column("Action", "------", "action"),
)
_FROM = (
    Column("From EndpointGroup", "------------------", "fromEndpointGroup"),
    Column("From Network", "------------", "fromNetwork"),
    Column("From IpAddress", "---------", "fromIpAddress"),
)
_TO = (
    Column("To EndpointGroup", "----------------", "toEndpointGroup"),
    Column("To Network", "----------", "toNetwork"),
    Column("To IpAddress", "---------", "toIpAddress"),
)
INCOMING = (*_RULE, *_FROM, *_TRAFFIC)
INCOMING_WIDE = (*_RULE, *_FROM, Column("To IpAddress", "------------", "toIpAddress"), *_TRAFFIC)
OUTGOING = (*_RULE, *_TO, *_TRAFFIC)


def _add(call: Call) -> None:
    policy, rule = _names(call)
    _check(call.parsed)
    names = {"tenantName": call.tenant, "policyName": policy, "ruleId": rule}
    call.client.create("rules", f"{call.tenant}:{policy}:{rule}", {**names, **fields(call.parsed, _OPTIONS)})


def _check(options: Parsed) -> None:
    direction = options.text("direction")
    if direction not in _USELESS:
        raise FailedError("Unknown direction", _WRONG_USAGE)
    kind, useless = _USELESS[direction]
    for option in useless:
        if options.text(option):
            raise FailedError(f"Cant specify {option} for {kind} rule", _WRONG_USAGE)
    exclusive, refusal = _EXCLUSIVE[direction]
    if all(options.text(option) for option in exclusive):
        raise FailedError(refusal, _WRONG_USAGE)


def _remove(call: Call) -> None:
    call.client.delete("rules", ":".join((call.tenant, *_names(call))))


def _names(call: Call) -> tuple[str, ...]:
    return call.arguments(2, "Policy name and Rule ID required")


def _list(call: Call) -> None:
    rules = _rules(call, call.only_argument("Policy name required"))
    show(call, rules, "ruleId", lambda: _text(rules, is_wide=call.parsed.is_on("wide")))


def _rules(call: Call, policy: str) -> list[Object]:
    """A policy's rules, the lowest priority first."""
    everyone = call.client.objects("rules")
    own = [rule for rule in everyone if (rule["tenantName"], rule["policyName"]) == (call.tenant, policy)]
    if not own:
        call.client.object("tenants", call.tenant)
        call.client.object("policys", f"{call.tenant}:{policy}")
    return sorted(own, key=lambda rule: int(rule.get("priority", 0)))


def _text(rules: list[Object], *, is_wide: bool) -> str:
    incoming = columns(INCOMING_WIDE if is_wide else INCOMING, (rule for rule in rules if rule["direction"] == "in"))
    outgoing = columns(OUTGOING, (rule for rule in rules if rule["direction"] == "out"))
    return f"Incoming Rules:\n{incoming}Outgoing Rules:\n{outgoing}"


_POLICY, _POLICY_AND_RULE = ("policys",), ("policys", "rules")
COMMANDS = (
    Command(
        ("rule-add",),
        "Add a rule to a policy",
        "[policy] [rule id]",
        (TENANT, *_OPTIONS.values()),
        _add,
        completes=_POLICY,
    ),
    Command(
        ("rule-ls", "rule-list"),
        "List the rules of a policy",
        "[policy]",
        (TENANT, JSON, QUIET, WIDE),
        _list,
        completes=_POLICY,
    ),
    Command(
        ("rule-rm", "rule-delete"),
        "Delete a rule of a policy",
        "[policy] [rule id]",
        (TENANT,),
        _remove,
        completes=_POLICY_AND_RULE,
    ),
)
