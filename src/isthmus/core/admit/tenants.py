"""Tenants: which may come, and which may go."""

from isthmus.core.admit.decision import Decision, counted, settled, tenant_of
from isthmus.core.errors import ConflictError
from isthmus.core.model import DEFAULT_TENANT, ScopedKey, Tenant, TenantName
from isthmus.core.world import World


def admit_tenant(request: Tenant, world: World) -> Decision[Tenant]:
    """The tenant to hold.

    Raises:
        ConflictError: it exists and is not the same.
    """
    existing = world.tenants.get(request.name)
    if existing is not None and existing != request:
        raise ConflictError(f"tenant {request.name} exists with other parameters, which cannot be changed")
    return settled(request, existing, request)


def admit_tenant_removal(name: TenantName, world: World) -> Decision[Tenant]:
    """The tenant that may go.

    Raises:
        NotFoundError: there is none.
        ConflictError: it is the default tenant, or something is left in it.

    Source: spec 2.7, the order in which its objects are named.
    """
    tenant = tenant_of(world, name)
    if name == DEFAULT_TENANT:
        raise ConflictError(f"tenant {name} cannot be deleted: it is always there")
    kinds = (
        (world.app_profiles, "app profile"),
        (world.groups, "endpoint group"),
        (world.policies, "policy"),
        (world.net_profiles, "net profile"),
        (world.services, "service"),
        (world.networks, "network"),
    )
    for index, noun in kinds:
        names = _names(name, *index)
        if names:
            raise ConflictError(f"cannot delete tenant {name}: it has {counted(names, noun)}")
    return Decision(tenant, remove=(tenant,))


def _names(tenant: TenantName, *keys: ScopedKey) -> list[str]:
    return sorted(key.name for key in keys if key.tenant == tenant)
