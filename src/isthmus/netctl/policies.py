"""`netctl policy`; its rules have a module of their own."""

from isthmus.netctl import rules
from isthmus.netctl.collection import Collection
from isthmus.netctl.listing import Column, Listing

_POLICIES = Collection(
    "policys",
    "policy",
    "policyName",
    "Policy name required",
    created="Creating policy {key}",
    deleted="Deleting policy {key}",
)
COLUMNS = (Column("Tenant", "------", "tenantName"), Column("Policy", "------", "policyName"))

COMMANDS = (
    _POLICIES.create_command("Create a policy without rules"),
    _POLICIES.inspect_command(),
    _POLICIES.list_command("List the policies", Listing("policyName", COLUMNS)),
    _POLICIES.remove_command("Delete a policy that no group has, and its rules"),
    *rules.COMMANDS,
)
