"""Policies and their rules: which may come, and which may go."""

from isthmus.core.admit.decision import Decision, counted, found, settled, tenant_of
from isthmus.core.errors import ConflictError, InvalidError
from isthmus.core.model import Direction, EndpointGroup, GroupKey, NetworkKey, Policy, PolicyKey, Rule, RuleKey, Span
from isthmus.core.world import World

_ADDRESSED_PROTOCOLS = ("tcp", "udp", "6", "17")  # those whose packets have ports; RFC 793, RFC 768


def admit_policy(request: Policy, world: World) -> Decision[Policy]:
    """The policy to hold.

    Raises:
        NotFoundError: the tenant does not exist.
    """
    tenant_of(world, request.key.tenant)
    return settled(request, world.policies.get(request.key), request)


def admit_policy_removal(key: PolicyKey, world: World) -> Decision[Policy]:
    """The policy that may go; its rules go with it.

    Raises:
        NotFoundError: there is none.
        ConflictError: a group uses it.
    """
    policy = found(world.policies.get(key), f"policy {key}")
    users = sorted(str(each.key.name) for each in _groups_with(key, world))
    if users:
        raise ConflictError(f"policy {key} is being used by {counted(users, 'endpoint group')}")
    return Decision(policy, remove=(policy,))


def admit_rule(request: Rule, world: World) -> Decision[Rule]:
    """The rule to hold.

    Raises:
        NotFoundError: the policy, or the group or network that it names, does not exist.
        InvalidError: its parts do not go together.
        ConflictError: it exists and is not the same, or the policy's groups do not fit it.

    Source: spec 2.7 "Rule combinations".
    """
    existing = world.rules.get(request.key)
    if existing is not None and existing != request:
        raise ConflictError(f"rule {request.key} exists with other parameters, which cannot be changed")
    policy = request.key.policy
    found(world.policies.get(policy), f"policy {policy}")
    _check_parts(request)
    for key in references(request):
        if isinstance(key, GroupKey):
            found(world.groups.get(key), f"endpoint group {key}")
        else:
            found(world.networks.get(key), f"network {key}")
    if request.own_addresses is not None and existing is None:
        _check_own(request, request.own_addresses, world)
    return settled(request, existing, request)


def admit_rule_removal(key: RuleKey, world: World) -> Decision[Rule]:
    """The rule that goes.

    Raises:
        NotFoundError: there is none.
    """
    rule = found(world.rules.get(key), f"rule {key}")
    return Decision(rule, remove=(rule,))


def references(rule: Rule) -> tuple[GroupKey | NetworkKey, ...]:
    """The group and the network that a rule names."""
    tenant = rule.key.policy.tenant
    group = (GroupKey(tenant, rule.peer_group),) if rule.peer_group else ()
    network = (NetworkKey(tenant, rule.peer_network),) if rule.peer_network else ()
    return (*group, *network)


def _check_parts(rule: Rule) -> None:
    side = "from" if rule.direction is Direction.IN else "to"
    if rule.peer_network and (rule.peer_group or rule.peer_addresses):
        other = "group" if rule.peer_group else "address"
        raise InvalidError(f"rule {rule.key} cannot have both {side}-network and {side}-{other}")
    if rule.port and rule.protocol not in _ADDRESSED_PROTOCOLS:
        said = f"protocol {rule.protocol}" if rule.protocol else "no protocol"
        raise InvalidError(f"rule {rule.key} has port {rule.port} and {said}: only tcp and udp have ports")
    spans = [span for span in (rule.peer_addresses, rule.own_addresses) if span]
    if len({span.first.version for span in spans}) > 1:
        raise InvalidError(f"rule {rule.key} has an IPv4 and an IPv6 address, which no packet fits")


def _check_own(rule: Rule, span: Span, world: World) -> None:
    groups = _groups_with(rule.key.policy, world)
    if len(groups) != 1:
        raise ConflictError(
            f"rule {rule.key} cannot have to-ip {span.text}: {len(groups)} endpoint groups are linked to its policy, "
            "and it takes exactly one"
        )
    members = world.population(groups[0].network_key).endpoints.values()
    if not any(each.group == groups[0].key.name and any(map(span.__contains__, each.addresses)) for each in members):
        raise ConflictError(f"rule {rule.key} cannot have to-ip {span.text}: endpoint group {groups[0].key} lacks it")


def _groups_with(key: PolicyKey, world: World) -> list[EndpointGroup]:
    return [each for each in world.groups.values() if each.key.tenant == key.tenant and key.name in each.policies]
