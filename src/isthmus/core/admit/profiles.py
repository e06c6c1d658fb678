"""Net profiles and app profiles: which may come or change, and which may go."""

from isthmus.core.admit.decision import Decision, counted, found, settled, tenant_of
from isthmus.core.errors import ConflictError
from isthmus.core.model import AppProfile, AppProfileKey, GroupKey, NetProfile, ProfileKey
from isthmus.core.world import World


def admit_net_profile(request: NetProfile, world: World) -> Decision[NetProfile]:
    """The net profile to hold; one that exists may change.

    Raises:
        NotFoundError: the tenant does not exist.
    """
    tenant_of(world, request.key.tenant)
    return settled(request, world.net_profiles.get(request.key), request)


def admit_net_profile_removal(key: ProfileKey, world: World) -> Decision[NetProfile]:
    """The net profile that may go.

    Raises:
        NotFoundError: there is none.
        ConflictError: a group uses it.
    """
    profile = found(world.net_profiles.get(key), f"net profile {key}")
    groups = (each for each in world.groups.values() if each.key.tenant == key.tenant)
    users = sorted(str(each.key.name) for each in groups if each.net_profile == key.name)
    if users:
        raise ConflictError(f"net profile {key} is being used by {counted(users, 'endpoint group')}")
    return Decision(profile, remove=(profile,))


def admit_app_profile(request: AppProfile, world: World) -> Decision[AppProfile]:
    """The app profile to hold; one that exists may change.

    Raises:
        NotFoundError: the tenant or one of the groups does not exist.
    """
    tenant_of(world, request.key.tenant)
    for name in request.groups:
        key = GroupKey(request.key.tenant, name)
        found(world.groups.get(key), f"endpoint group {key}")
    return settled(request, world.app_profiles.get(request.key), request)


def admit_app_profile_removal(key: AppProfileKey, world: World) -> Decision[AppProfile]:
    """The app profile that goes.

    Raises:
        NotFoundError: there is none.
    """
    profile = found(world.app_profiles.get(key), f"app profile {key}")
    return Decision(profile, remove=(profile,))
